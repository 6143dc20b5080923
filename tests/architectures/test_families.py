"""Every family that transformers calls a causal language model trains and answers, or is refused in one line.

Each is a tiny model with random weights. A few, of different kinds, are tried each time, and all of them by

    python -m pytest -m torture -n 0 tests/architectures/test_families.py

which holds the table in docs/pretrained.md to be true, and writes it anew where WRITE_FAMILIES=1 is set.
"""

import gc
import json
import os
import re
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from textwrap import TextWrapper
from typing import Any

import pytest
import torch
import transformers
from families import FAMILIES, tiny
from language_models import tokenizer

from bench.architectures import Batch, pretrained_files
from bench.architectures.pretrained import Pretrained, PretrainedConfig
from bench.datasets.suites import load_suite
from bench.plan import sequence_spec
from bench.planning.sizing import count_flops, count_parameters

CACHED, UNCACHED = "with a cache", "without a cache"
SAMPLE = {
    "bamba": CACHED,
    "mixtral": CACHED,
    "opt": CACHED,
    "gemma2": CACHED,
    "mamba2": CACHED,
    "recurrent_gemma": CACHED,
    "rwkv": UNCACHED,  # for more than one row its state is mixed up
    "roberta": UNCACHED,  # `generate` counts positions otherwise than the model itself
}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "pretrained.md"
BLOCK = re.compile(r"(<!-- families -->\n)(.*?)(<!-- /families -->)", re.DOTALL)

QUICK = load_suite("quick")
SPEC = sequence_spec(QUICK)
TOKENS = tokenizer()


@pytest.fixture(autouse=True)
def _float32() -> Iterator[None]:
    """What those models are made for; other tests of this folder compute in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("family", SAMPLE)
def test_a_family_trains_and_answers(family: str, tmp_path: Path) -> None:
    assert outcome(family, tmp_path) == SAMPLE[family]


def of_keys_and_values(sizes: Any, tokens: int, layers: int | None = None) -> int:
    """Their bytes in so many layers, by default all."""
    width = sizes.hidden_size // sizes.num_attention_heads
    return 4 * (layers or sizes.num_hidden_layers) * 2 * sizes.num_key_value_heads * width * tokens


def of_bamba(sizes: Any, tokens: int) -> int:
    """Keys and values of its attention; the states and the short convolution, of its other layer."""
    state = sizes.mamba_n_heads * sizes.mamba_d_head * sizes.mamba_d_state
    channels = sizes.mamba_n_heads * sizes.mamba_d_head + 2 * sizes.mamba_n_groups * sizes.mamba_d_state
    return of_keys_and_values(sizes, tokens, layers=1) + 4 * (state + channels * sizes.mamba_d_conv)


def of_recurrent_gemma(sizes: Any, tokens: int) -> int:
    """Keys and values of its attention, which has one key for all, and the place in its window; two layers hold a state
    and a short convolution.
    """
    keys_and_values = 4 * 2 * sizes.num_key_value_heads * sizes.head_dim * tokens
    return keys_and_values + 8 + 2 * 4 * sizes.lru_width * sizes.conv1d_width


@pytest.mark.parametrize(
    ("family", "kept_bytes"),
    [
        ("llama", of_keys_and_values),
        ("mixtral", of_keys_and_values),
        ("bamba", of_bamba),
        ("recurrent_gemma", of_recurrent_gemma),
        ("rwkv", lambda sizes, tokens: 0),  # it writes without its state
    ],
)
def test_products_and_state_are_counted(family: str, kept_bytes: Callable[[Any, int], int], tmp_path: Path) -> None:
    config = PretrainedConfig(model=str(tiny(family, tmp_path, TOKENS))).settled()
    model = Pretrained(config, SPEC).eval()
    sizes = model.model.config
    prompt = torch.from_numpy(QUICK.encoding.encode(QUICK.stream(0).block(0)).prompt[:1])
    [tokens] = model._translator.prompts(prompt)
    assert model.state_bytes(prompt) == kept_bytes(sizes, len(tokens) + SPEC.answer_width - 1)
    assert count_flops(Pretrained, config, SPEC) > 2 * 3 * 10 * sizes.hidden_size**2  # no less than a product of one


def test_an_encoder_is_refused(tmp_path: Path) -> None:
    tiny("bert", tmp_path, TOKENS)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"is_decoder": False}))
    with pytest.raises(ValueError, match=r"bert cannot be asked here: .* depends on those behind it"):
        PretrainedConfig(model=str(tmp_path)).settled()


def test_the_table_names_every_family() -> None:
    points = re.split(r"^- ", table(), flags=re.MULTILINE)[1:]
    listed = [family for point in points for family in re.findall(r"`([\w-]+)`", point.rpartition("**: ")[2])]
    assert sorted(listed) == sorted(FAMILIES)


@pytest.mark.torture
def test_the_table_says_what_each_family_does(tmp_path: Path) -> None:
    found: dict[str, str] = {}
    failed: dict[str, str] = {}
    for family in FAMILIES:
        try:
            found[family] = outcome(family, tmp_path / family)
        except Exception as error:
            failed[family] = f"{type(error).__name__}: {error}"
        gc.collect()
    assert failed == {}
    if os.environ.get("WRITE_FAMILIES"):
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(BLOCK.sub(lambda match: f"{match[1]}{table_of(found)}{match[3]}", text), encoding="utf-8")
    assert table() == table_of(found)


def outcome(family: str, folder: Path) -> str:
    """How a family answers, or why `check` refuses it. Fails where it is neither refused nor right."""
    tiny(family, folder, TOKENS)
    pretrained_files._files.cache_clear()
    pretrained_files._config.cache_clear()
    try:
        config = PretrainedConfig(model=str(folder)).settled()
        count_parameters(Pretrained, config, SPEC)
        flops = count_flops(Pretrained, config, SPEC)
    except ValueError as error:
        line = str(error).replace(str(folder), "FOLDER")
        assert re.fullmatch(rf"model FOLDER: .*\b{family}\b.*", line), line
        return line.removeprefix("model FOLDER: ")
    assert flops > 0
    torch.manual_seed(0)
    model = Pretrained(config, SPEC).eval()
    encoded = QUICK.encoding.encode(QUICK.stream(0).block(0)).rows(slice(8))
    batch = Batch(torch.from_numpy(encoded.prompt), torch.from_numpy(encoded.answer))

    prompts = sorted(model._translator.prompts(batch.prompt), key=len)
    written = [row for _, rows in groupby(prompts, len) for row in model._write(list(rows), SPEC.answer_width)]
    assert written == [greedy(model.model, prompt, model._translator.ends) for prompt in prompts]
    assert len(set(map(tuple, written))) > 2
    assert (model.state_bytes(batch.prompt[:1]) > 0) == config.cached

    with torch.no_grad():
        longer = torch.tensor([prompts[0] + [TOKENS.eos_token_id] * 5])
        ahead, alone = (model.model(input_ids=ids, use_cache=False).logits for ids in (longer, longer[:, :-5]))
        torch.testing.assert_close(ahead[:, :-5], alone, rtol=0, atol=1e-3 * alone.abs().max().item())
        together = model.loss(batch, torch.Generator()).nll_sum
        rows = [Batch(batch.prompt[row : row + 1], batch.answer[row : row + 1]) for row in range(8)]
        alone = sum(model.loss(row, torch.Generator()).nll_sum for row in rows)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=0)

    optimizer = torch.optim.Adam([p for _, p, _, _ in model.parameter_groups()], lr=1e-3)
    losses = []
    for step in range(3):
        optimizer.zero_grad()
        loss = model.train().loss(batch, torch.Generator().manual_seed(step)).mean
        loss.backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[2] < losses[0]
    return CACHED if config.cached else UNCACHED


@torch.no_grad()
def greedy(language_model: Any, prompt: list[int], ends: frozenset[int]) -> list[int]:
    """The likeliest tokens after a prompt; for each the model reads all before it again."""
    written: list[int] = []
    while len(written) < SPEC.answer_width and ends.isdisjoint(written):
        logits = language_model(input_ids=torch.tensor([prompt + written]), use_cache=False).logits
        written.append(int(logits[0, -1].argmax()))
    return written


def table() -> str:
    found = BLOCK.search(PAGE.read_text(encoding="utf-8"))
    assert found is not None
    return found[2]


def table_of(outcomes: dict[str, str]) -> str:
    """Markdown: the families that answer, with a cache and without, and those that are refused, by reason."""
    by_outcome: dict[str, list[str]] = {f"answer {CACHED}": [], f"answer {UNCACHED}": []}
    for family, found in sorted(outcomes.items()):
        does = f"answer {found}" if found in (CACHED, UNCACHED) else f"refused: {found.replace(family, 'FAMILY')}"
        by_outcome.setdefault(does, []).append(family)
    points = [
        f"- **{len(families)} {does}**: {', '.join(f'`{family}`' for family in families)}"
        for does, families in by_outcome.items()
    ]
    wrap = TextWrapper(120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return "\n".join(
        [f"transformers {transformers.__version__}, {len(outcomes)} families:", "", *map(wrap.fill, points), ""]
    )
