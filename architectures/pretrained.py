r"""Fine-tunes any causal language model that others trained on text, all its weights or through LoRA.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021: beside each linear layer but the head, a product
of two thin matrices is trained, and the model's own weights stay as they are.

The suite's symbols become text, and the text becomes tokens of the model's own tokenizer. Prompt and answer are
tokenised separately, so that the prompt's tokens are the same in training, where an answer follows, and in evaluation,
where none does: of SmolLM2's tokens one is `=-`, and `3-5=-2` as one text would end the prompt in `5`.

- Prompt `12+7=`: the model's begin token where its tokenizer puts one, then the tokens of `12+7=`.
- Answer `19`: the tokens of `19`, a leading space where the tokenizer puts one, then the model's end token.
- Suites that reverse their answers are answered in the order of people unless `order` is 'suite': `-12.5` where the
  suite has `5.21-`. Workings, which stand before a ':', stay as they are.
- What the model writes is read up to its end token, or to the first symbol that no answer of any suite could hold:
  without training it goes on talking (`19, which is`, `19=12+7`). Spaces around are left off.

One token covers several symbols in many models, so that no column has logits: loss and likelihoods are of its tokens.

B batch, P prompt width, A answer width, S tokens read, W the model's vocabulary
"""

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from bench.architectures.base import Architecture, Batch, Config, Loss, SequenceSpec
from bench.architectures.pretrained_files import (
    BASE,
    load_model,
    load_tokenizer,
    origin,
    require,
    require_weights,
    write_base,
)
from bench.architectures.registry import register

Piece = TypeVar("Piece")

IGNORED = -100
"""Target of a column that is not scored."""
WORKINGS_END = ":"
OF_PROMPTS = frozenset("+*=()") | {r"\times"}
"""Symbols that no answer holds, whatever the suite: a model that was not trained writes `2+1=3` where it could stop."""
_SYMBOL = re.compile(r"\\[a-z]+(?:\{r\})?|.", re.DOTALL)  # a command of LaTeX is one symbol


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
    licence: str = ""
    """as the model states it; a plan keeps it"""
    weights: int | None = None
    """how many the model has without an adapter; a plan keeps it"""

    @property
    def training(self) -> Mapping[str, Any]:
        rate = {"full": 1e-4, "lora": 1e-3}[self.adapt]
        return {"optimizer": "adamw", "lr": rate, "outer_lr": rate, "batch": 16, "warmup": 0.1}

    def settled(self) -> Self:
        require("transformers", *(("peft",) if self.adapt == "lora" else ()))
        found = origin(self.model, self.revision)
        if self.sha256 not in ("", found.sha256):
            raise ValueError(f"model {self.model}: its weights have SHA-256 {found.sha256}, not {self.sha256}")
        return dataclasses.replace(self, **dataclasses.asdict(found))

    def in_cell(self, directory: Path, model_at: Path | None) -> Self:
        if model_at is not None:
            require_weights(model_at, self.sha256)
            return dataclasses.replace(self, model=str(model_at))
        kept = directory / BASE
        return dataclasses.replace(self, model=str(kept), revision="", sha256="") if kept.is_dir() else self


class Translator:
    """Between the suite's ids and the model's tokens.

    Raises ValueError where the tokenizer cannot write the suite's symbols, or has no end token.
    """

    def __init__(self, tokenizer: Any, ends: Sequence[int], spec: SequenceSpec, flips: bool) -> None:
        self._tokenizer, self._spec, self._flips = tokenizer, spec, flips
        self.end = ends[0]
        """the token that a trained answer ends in"""
        self.ends = frozenset(ends)
        special = {spec.pad, spec.bos, spec.eos, spec.mask}
        self._texts = ["" if number in special else text for number, text in enumerate(spec.texts)]
        if spec.tokenize is None:
            raise ValueError("nobody said which texts the suite's symbols are")
        self._tokenize = spec.tokenize
        self._longest = max(map(len, self._texts))
        self._symbols = {symbol for text in self._texts for symbol in _SYMBOL.findall(text)} - OF_PROMPTS
        begun = tokenizer("0")["input_ids"]
        begins = tokenizer.bos_token_id is not None and begun[:1] == [tokenizer.bos_token_id]
        self._begin = begun[:1] if begins else []
        for text in filter(None, self._texts):
            if self.text(self._tokens([text])[0]).strip() != text.strip():
                raise ValueError(f"the model's tokenizer cannot write '{text}'")

    def prompts(self, prompt: Tensor) -> list[list[int]]:
        """(B, P) -> the model's tokens of each prompt; what follows it does not enter."""
        texts = ["".join(self._texts[number] for number in row) for row in prompt.tolist()]
        return [self._begin + tokens for tokens in self._tokens(texts)]

    def answers(self, answer: Tensor) -> list[list[int]]:
        """(B, A) -> the model's tokens of each answer, its end token among them where the answer has one."""
        rows = answer.tolist()
        tokens = self._tokens([self._written(row)[0] for row in rows])
        return [found + ([self.end] if self._spec.eos in row else []) for found, row in zip(tokens, rows, strict=True)]

    def text(self, tokens: Sequence[int]) -> str:
        """What the model wrote, up to its end token."""
        stop = next((place for place, token in enumerate(tokens) if token in self.ends), len(tokens))
        return str(self._tokenizer.decode(tokens[:stop], clean_up_tokenization_spaces=False))

    def read(self, tokens: Sequence[int], width: int) -> list[int]:
        """What the model wrote -> the suite's ids: symbols, the end token where it ended, then pads."""
        symbols = _SYMBOL.findall(self.text(tokens).lstrip())
        stop = next((place for place, symbol in enumerate(symbols) if symbol not in self._symbols), len(symbols))
        ended = stop < len(symbols) or bool(self.ends.intersection(tokens))
        text = "".join(symbols[:stop]).strip()
        ids = self._tokenize(_flipped(text) if self._flips else text)[:width]
        if len(ids) < width:
            ids += [self._spec.eos] if ended else []
        return ids + [self._spec.pad] * (width - len(ids))

    def most_tokens(self, width: int) -> int:
        """A bound on the tokens of an answer of so many of the suite's, its end and a leading space among them."""
        return width * self._longest + 1

    def spans(self, row: Sequence[int]) -> list[int | None]:
        """The answer's column in which each of its tokens starts, the end token left out; None where unknown."""
        text, columns = self._written(row)
        if not self._tokenizer.is_fast:
            return [None] * len(self._tokens([text])[0])
        spans = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        return [columns[min(start, len(columns) - 1)] if columns else None for start, _ in spans]

    def _written(self, row: Sequence[int]) -> tuple[str, list[int]]:
        """The text of an answer before its end token, and the column that each of its characters stands in."""
        stop = row.index(self._spec.eos) if self._spec.eos in row else len(row)
        pieces = [(symbol, column) for column in range(stop) for symbol in _SYMBOL.findall(self._texts[row[column]])]
        if self._flips:
            pieces = _flip(pieces, [symbol for symbol, _ in pieces])
        return "".join(symbol for symbol, _ in pieces), [column for symbol, column in pieces for _ in symbol]

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        return [list(tokens) for tokens in self._tokenizer(texts, add_special_tokens=False)["input_ids"]]


def _flip(pieces: list[Piece], symbols: list[str]) -> list[Piece]:
    """An answer from its last symbol to its first; workings before it stay where they are."""
    behind = len(symbols) - symbols[::-1].index(WORKINGS_END) if WORKINGS_END in symbols else 0
    return pieces[:behind] + pieces[behind:][::-1]


def _flipped(text: str) -> str:
    symbols = _SYMBOL.findall(text)
    return "".join(_flip(symbols, symbols))


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
        files = config.model, config.revision, config.sha256
        self.model = load_model(*files)
        self._tokenizer = load_tokenizer(*files)
        ends = _end_tokens(self.model, self._tokenizer)
        self._translator = Translator(self._tokenizer, ends, spec, flips=spec.reversed and config.order == "people")
        self._keeps_columns = "logits_to_keep" in inspect.signature(self.model.forward).parameters
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
        by_length: dict[int, list[int]] = {}
        rows = self._translator.prompts(prompt)
        for row, tokens in enumerate(rows):
            by_length.setdefault(len(tokens), []).append(row)
        for members in by_length.values():  # of one length, so that nothing is padded
            written = self._write([rows[row] for row in members], self._translator.most_tokens(width))
            for row, tokens in zip(members, written, strict=True):
                answer[row] = torch.tensor(self._translator.read(tokens, width))
        return answer

    @torch.no_grad()
    def likelihoods(self, prompt: Tensor, answer: Tensor) -> Tensor:
        """(B, P), (B, A) -> (B, A) probability of each symbol of an answer, given the prompt and the symbols before it.

        Of a token that is several symbols the first one has its probability, and the others have 1. Where answers are
        written from their other end, what was written before a symbol is what people read before it.
        """
        answers = self._translator.answers(answer)
        nll_BC, places = self._negative_log_likelihoods(self._translator.prompts(prompt), answers)
        likelihoods = torch.ones(answer.shape, dtype=nll_BC.dtype)
        for row, (ids, tokens) in enumerate(zip(answer.tolist(), answers, strict=True)):
            columns: list[int | None] = self._translator.spans(ids)
            columns += [ids.index(self.spec.eos)] if len(columns) < len(tokens) else []
            for place, column in zip(places[row], columns, strict=True):
                likelihoods[row, column or 0] *= torch.exp(-nll_BC[row, place]).cpu()
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
        cache = self.model(input_ids=torch.tensor([tokens], device=prompt.device), use_cache=True).past_key_values
        kept = [value for layer in cache.layers for value in vars(layer).values() if isinstance(value, Tensor)]
        return sum(tensor.numel() * tensor.element_size() for tensor in kept)

    def training_flops(self) -> int:
        """Counted as for others, a token of the model's for each of the suite's."""
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
        if self._keeps_columns:
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
        """The likeliest token, again and again, until every row has ended or has `most` of them."""
        device = next(self.parameters()).device
        ends = torch.tensor(sorted(self._translator.ends), device=device)
        ids, cache = torch.tensor(prompts, device=device), None
        running = torch.ones(len(prompts), dtype=torch.bool, device=device)
        written: list[Tensor] = []
        kept = {"logits_to_keep": 1} if self._keeps_columns else {}
        while len(written) < most and running.any():
            found = self.model(input_ids=ids, past_key_values=cache, use_cache=True, **kept)
            cache, symbol = found.past_key_values, found.logits[:, -1].argmax(-1)
            written.append(symbol)
            running = running & ~torch.isin(symbol, ends)
            ids = symbol[:, None]
        rows: list[list[int]] = torch.stack(written, dim=1).tolist()
        return rows


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
