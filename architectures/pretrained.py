r"""Fine-tunes any causal language model that others trained on text, all its weights or through LoRA.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021: beside each linear layer but the head, a product
of two thin matrices is trained, and the model's own weights stay as they are.

The suite's symbols become text, and the text becomes tokens of the model's own tokenizer: see `pretrained_text`. It
writes as transformers itself does, and with what it keeps of the symbols before only where that changes nothing.

B batch, P prompt width, A answer width, S tokens read, W the model's vocabulary
"""

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from bench.architectures.base import Architecture, Batch, Config, Loss, SequenceSpec
from bench.architectures.pretrained_decoding import cache_bytes, is_cache_right, is_causal, write
from bench.architectures.pretrained_files import (
    BASE,
    load_model,
    load_tokenizer,
    origin,
    readable,
    require,
    require_same,
    write_base,
)
from bench.architectures.pretrained_text import Translator, require_embeddings
from bench.architectures.registry import register

IGNORED = -100
"""Target of a column that is not scored."""
LIMITS = ("max_position_embeddings", "n_positions", "n_ctx", "max_target_positions", "max_seq_len", "seq_length")
"""Names by which configs of transformers say how many tokens a model can read."""
HANDFUL = 8
"""Prompts on which a cache is tried."""


@dataclass(frozen=True, kw_only=True)
class PretrainedConfig(Config):
    size_fields: ClassVar = ()
    required: ClassVar = ("model",)

    model: str = ""
    """a folder with safetensors or a GGUF file, a GGUF file, or a name on the Hub (ORGANISATION/NAME)"""
    adapt: Literal["full", "lora"] = "full"
    """what is trained: all weights, or an adapter beside those of each linear layer"""
    rank: int = 16
    """lora alone: columns of an adapter's thin matrices; its product is scaled by 2"""
    order: Literal["people", "suite"] = "people"
    """order of digits where the suite reverses answers: as people read them, or as the suite has them"""
    revision: str = ""
    """of a model on the Hub: branch or commit; a plan keeps the commit"""
    sha256: str = ""
    """of a local model's weights, which a plan keeps: it is trained and asked with no others"""
    setup: str = ""
    """SHA-256 of a local model's config and tokenizer, which a plan keeps likewise"""
    licence: str = ""
    """as the model states it; a plan keeps it"""
    weights: int | None = None
    """how many the model has without an adapter; a plan keeps it"""
    remark: str = ""
    """what is to be known of its tokenizer; a plan keeps it"""
    cached: bool | None = None
    """whether it writes with a cache, which is not so where that would change its logits; a plan keeps it"""

    @property
    def files(self) -> tuple[str, str, str, str]:
        """What `load_model` and `load_tokenizer` take."""
        return self.model, self.revision, self.sha256, self.setup

    @property
    def training(self) -> Mapping[str, Any]:
        rate = {"full": 1e-4, "lora": 1e-3}[self.adapt]
        return {"optimizer": "adamw", "lr": rate, "outer_lr": rate, "batch": 16, "warmup": 0.1}

    def settled(self) -> Self:
        require("transformers", *(("peft",) if self.adapt == "lora" else ()))
        found = origin(self.model, self.revision)
        for what, asked, there in (("weights", self.sha256, found.sha256), ("setup", self.setup, found.setup)):
            if asked not in ("", there):
                raise ValueError(f"model {self.model}: its {what} has SHA-256 {there}, not {asked}")
        cached = self._has_right_cache() if self.cached is None else self.cached
        return dataclasses.replace(self, **dataclasses.asdict(found), cached=cached)

    def in_cell(self, directory: Path, model_at: Path | None) -> Self:
        if model_at is not None:
            require_same(model_at, self.sha256, self.setup)
            return dataclasses.replace(self, model=str(model_at))
        kept = directory / BASE
        return dataclasses.replace(self, model=str(kept), revision="", sha256="", setup="") if kept.is_dir() else self

    def _has_right_cache(self) -> bool:
        """See `is_cache_right`. Raises ValueError where the model cannot write."""
        with torch.device("cpu"):
            model, tokenizer = load_model(*self.files).eval(), load_tokenizer(*self.files)
            texts = [f"{a}+{97 - 3 * a}=" for a in range(10, 10 + HANDFUL)]
            rows = tokenizer(texts, add_special_tokens=False)["input_ids"]
            shortest = min(map(len, rows))
            if shortest < 2:
                raise ValueError(f"model {self.model}: its tokenizer has no tokens for {texts[0]}")
            family, prompts = model.config.model_type, [row[:shortest] for row in rows]
            require_embeddings(model, tokenizer, self.model)
            with readable(self.model, f"{family} cannot be asked here"), naming_limits(model):
                if not is_causal(model, prompts):
                    raise ValueError("what it says of a token depends on those behind it, which it will not have")
                return is_cache_right(model, prompts)


@register
class Pretrained(Architecture):
    """Rows are read from their first token, without padding before it: pads follow behind, where nothing looks.

    What is kept, in files and checkpoints, is what was trained: all weights, tied ones once, or those of the adapter.
    """

    name = "pretrained"
    family = "pretrained language model"
    kind = "decoder"
    year = 2021
    paper = "Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2021"
    Config = PretrainedConfig
    debug: ClassVar = {}
    curve_problems = 100  # else the 20 points of a curve take several times as long as what is fine-tuned here
    model: Any
    """a causal language model of transformers"""

    def __init__(self, config: PretrainedConfig, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.model, self._tokenizer = load_model(*config.files), load_tokenizer(*config.files)
        ends = _end_tokens(self.model, self._tokenizer)
        self._translator = Translator(self._tokenizer, ends, spec, flips=spec.reversed and config.order == "people")
        self._takes = frozenset(inspect.signature(self.model.forward).parameters)
        self._cached = config.cached
        self._wrote: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
        """(tokens of a prompt, answer) -> the tokens that the answer was read from, since `generate` was last called"""
        if config.adapt == "lora":
            _adapt(self.model, config.rank)
        nn.Module.register_state_dict_post_hook(self, _drop_what_is_not_kept)
        nn.Module.register_load_state_dict_pre_hook(self, _fill_in_what_is_not_kept)

    def write_beside(self, directory: Path) -> None:
        if self.config.adapt == "full":  # all weights lie in the cell
            write_base(self.model, self._tokenizer, directory / BASE)

    def loss(self, batch: Batch, rng: torch.Generator) -> Loss:
        prompts, answers = self._translator.prompts(batch.prompt), self._translator.answers(batch.answer)
        with self.seeded(rng):
            nll_BC, _ = self._negative_log_likelihoods(prompts, answers)
        nll_sum = nll_BC.sum()
        count = torch.tensor(sum(map(len, answers)), device=nll_sum.device)
        return Loss(nll_sum, count, self.auxiliary_loss(nll_sum))

    @torch.no_grad()
    def generate(self, prompt: Tensor, width: int) -> Tensor:
        answer = prompt.new_full((len(prompt), width), self.spec.pad)
        self._wrote.clear()
        by_length: dict[int, list[int]] = {}
        rows = self._translator.prompts(prompt)
        for row, tokens in enumerate(rows):
            by_length.setdefault(len(tokens), []).append(row)
        for members in by_length.values():  # of one length, so that nothing is padded
            written = self._write([rows[row] for row in members], self._translator.most_tokens(width))
            for row, tokens in zip(members, written, strict=True):
                ids = self._translator.read(tokens, width)
                answer[row] = torch.tensor(ids)
                self._wrote[tuple(rows[row]), tuple(ids)] = self._translator.read_from(tokens, ids)
        return answer

    @torch.no_grad()
    def likelihoods(self, prompt: Tensor, answer: Tensor) -> Tensor:
        """(B, P), (B, A) -> (B, A) probability of each symbol of an answer, given the prompt and the symbols before it.

        Of a token that is several symbols the first one has its probability, and the others have 1. Where answers are
        written from their other end, what was written before a symbol is what people read before it. An answer that
        `generate` has just given has the tokens that the model wrote, and its end that of the token which ended it;
        any other has the tokenizer's own.
        """
        prompts, rows = self._translator.prompts(prompt), answer.tolist()
        answers = [
            self._wrote.get((tuple(asked), tuple(row)), tokens)
            for asked, row, tokens in zip(prompts, rows, self._translator.answers(answer), strict=True)
        ]
        nll_BC, places = self._negative_log_likelihoods(prompts, answers)
        likelihoods = torch.ones(answer.shape, dtype=nll_BC.dtype)
        for row, (ids, tokens) in enumerate(zip(rows, answers, strict=True)):
            for place, column in zip(places[row], self._translator.columns(tokens, ids), strict=True):
                likelihoods[row, column] *= torch.exp(-nll_BC[row, place]).cpu()
        return likelihoods.to(answer.device)

    def parameter_groups(self) -> Iterator[tuple[str, nn.Parameter, bool, int]]:
        return (group for group in super().parameter_groups() if group[1].requires_grad)

    def head_parameters(self) -> Iterator[nn.Parameter]:
        head: nn.Module | None = self.model.get_output_embeddings()
        if head is not None:
            yield from head.parameters()

    @torch.no_grad()
    def state_bytes(self, prompt: Tensor) -> int:
        """Keys and values, or what else the model keeps, of a prompt and an answer of one token a symbol."""
        [tokens] = self._translator.prompts(prompt)
        tokens = tokens + [self._translator.end] * (self.spec.answer_width - 1)
        if self._cached is None:
            self._cached = is_cache_right(self.model, [tokens])
        return cache_bytes(self.model, tokens, self._translator.ends) if self._cached else 0

    def training_flops(self) -> int:
        """Counted as for others, a token of the model's for each of the suite's.

        A family that looks at values, as mixtures do, cannot be counted on the meta device. It is loaded, and counted
        with plain matrix products, since torch's counter sees none in fused attention and in grouped products.

        Raises ValueError where the model cannot be trained, or not on rows as long as those of the suite.
        """
        self._require_room()
        try:
            return self._count_flops()
        except Exception:  # whatever a family raises on the meta device
            with torch.device("cpu"), readable(self.config.model, f"{self.model.config.model_type} cannot be trained"):
                loaded = Pretrained(self.config, self.spec)
                loaded.model.set_attn_implementation("eager")
                loaded.model.set_experts_implementation("eager")
                return loaded._count_flops()

    def _require_room(self) -> None:
        """Raises ValueError where the model cannot read the longest prompt and the longest answer it may write."""
        tokens = self._translator.longest_prompt() + self.most_tokens()
        what = f"it cannot read {tokens} tokens, as many as a row of this suite may take"
        with torch.device("cpu"), torch.no_grad():
            model = load_model(*self.config.files).eval()
            with readable(self.config.model, what), naming_limits(model):
                model(input_ids=torch.full((1, tokens), self._translator.end), use_cache=False)

    def _count_flops(self) -> int:
        end = self._translator.end
        prompt = self._translator.prompts(torch.empty((1, 0), dtype=torch.long, device="cpu"))
        prompt = [prompt[0] + [end] * self.spec.prompt_width]
        with FlopCounterMode(display=False) as counter:
            self._negative_log_likelihoods(prompt, [[end] * self.spec.answer_width])[0].sum().backward()
        return int(counter.get_total_flops())

    def most_tokens(self) -> int:
        """A bound on the model's tokens of an answer."""
        return self._translator.most_tokens(self.spec.answer_width)

    def save(self, directory: Path) -> None:
        """Write the model and its tokenizer as transformers itself would, into a folder that is there.

        An adapter is merged into the weights beside it, here too: what the model answers is the same but for rounding.
        """
        for name, module in list(self.model.named_modules()):
            if hasattr(module, "get_base_layer"):
                module.merge()
                parent, _, leaf = name.rpartition(".")
                setattr(self.model.get_submodule(parent), leaf, module.get_base_layer())
        self.model.save_pretrained(directory)
        self._tokenizer.save_pretrained(directory)

    def _negative_log_likelihoods(
        self, prompts: list[list[int]], answers: list[list[int]]
    ) -> tuple[Tensor, list[list[int]]]:
        """(B, C) nats of each token of the answers, 0 elsewhere, float32 at least; and each row's columns of them."""
        device = next(self.parameters()).device
        read = [prompt + answer[:-1] for prompt, answer in zip(prompts, answers, strict=True)]
        first, width = min(map(len, prompts)) - 1, max(map(len, read))
        ids = [row + [self._translator.end] * (width - len(row)) for row in read]
        places = [[len(p) - 1 - first + n for n in range(len(a))] for p, a in zip(prompts, answers, strict=True)]
        targets = [
            [IGNORED] * row[0] + answer + [IGNORED] * (width - first - row[0] - len(answer))
            if answer
            else [IGNORED] * (width - first)
            for row, answer in zip(places, answers, strict=True)
        ]
        options: dict[str, Any] = {"use_cache": False}
        if "logits_to_keep" in self._takes:
            options["logits_to_keep"] = torch.arange(first, width, device=device)
        if device.type == "meta" and self.model._supports_sdpa:  # to make its own mask it looks at values
            options["attention_mask"] = torch.ones((1, 1, width, width), dtype=torch.bool, device=device)
        logits_BCW = self.model(input_ids=torch.tensor(ids, device=device), **options).logits
        logits_BCW = logits_BCW[:, -(width - first) :]
        nll_N = F.cross_entropy(
            logits_BCW.flatten(0, 1).to(torch.promote_types(logits_BCW.dtype, torch.float32)),
            torch.tensor(targets, device=device).flatten(),
            ignore_index=IGNORED,
            reduction="none",
        )
        return nll_N.view(len(ids), -1), places

    def _write(self, prompts: list[list[int]], most: int) -> list[list[int]]:
        """The tokens that are written after prompts of one length, at most so many."""
        if self._cached is None:
            self._cached = is_cache_right(self.model, prompts[:HANDFUL])
        return write(self.model, prompts, most, self._translator.ends, self._cached)


@contextmanager
def naming_limits(model: Any) -> Iterator[None]:
    """A context in which an error of sizes names the lengths that the model's config says it was made for."""
    try:
        yield
    except (IndexError, RuntimeError) as error:
        settings = model.config.to_dict()
        stated = [f"{name} is {settings[name]}" for name in LIMITS if isinstance(settings.get(name), int)]
        if not stated:
            raise
        raise ValueError(f"{error}; in its config {', '.join(stated)}") from error


def _end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """The tokens that end a text, that of the tokenizer first."""
    settings = getattr(model, "generation_config", None), model.config
    stated = [tokenizer.eos_token_id, *(getattr(source, "eos_token_id", None) for source in settings)]
    ends = [end for entry in stated for end in (entry if isinstance(entry, list) else [entry]) if end is not None]
    if not ends:
        raise ValueError("the model has no end token: neither its tokenizer nor its config names one")
    return list(dict.fromkeys(ends))


def _adapt(model: nn.Module, rank: int) -> None:
    """Puts an adapter beside each linear layer but the head; nothing else is trained any more."""
    from peft import LoraConfig, inject_adapter_in_model
    from transformers.pytorch_utils import Conv1D

    inject_adapter_in_model(
        LoraConfig(
            r=rank,
            lora_alpha=2 * rank,
            target_modules="all-linear",
            fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
        ),
        model,
    )


def _not_kept(model: nn.Module) -> dict[str, str | None]:
    """Parameters that a model's file leaves out -> the name that the same one has in it, None if it is not trained."""
    by_identity = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        name: by_identity[id(parameter)] if parameter.requires_grad else None
        for name, parameter in model.named_parameters(remove_duplicate=False)
        if by_identity[id(parameter)] != name or not parameter.requires_grad
    }


def _drop_what_is_not_kept(model: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
    for name in _not_kept(model):
        state.pop(prefix + name, None)


def _fill_in_what_is_not_kept(model: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    own = dict(model.named_parameters(remove_duplicate=False))
    for name, same in _not_kept(model).items():
        if same is None:
            state.setdefault(prefix + name, own[name].detach())
        elif prefix + same in state:
            state.setdefault(prefix + name, state[prefix + same])
