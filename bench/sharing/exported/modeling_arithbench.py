"""An architecture of arithbench as a model of transformers.

The architecture itself stands in the files beside this one: arithbench's own, with nothing changed but where they
import each other from. Here it is told what transformers wants to know. Three classes, of which a folder uses one:
`ArithbenchForCausalLM`, `ArithbenchForSeq2SeqLM` (it reads the prompt apart from the answer) and
`ArithbenchForInfilling` (it fills in a canvas of masks, and has no `generate`).

All of them have `answer(texts, tokenizer)` and, on token ids, `answer_ids(input_ids)`: greedy answers, computed as in
arithbench. `generate` of transformers gives the same, more slowly, since it keeps no cache. It ends at the widest
answer that the model was trained on, whatever `max_new_tokens` says.

With `labels`, a call gives the loss too: the mean negative log-likelihood of the answer's symbols, in nats. Labels of
-100 are left out, and so are pads where answers are written symbol by symbol, on whichever side they stand.

B batch, P prompt width, A answer width, V vocabulary, N symbols of the answer so far
"""

import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel, StoppingCriteriaList
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput, MaskedLMOutput, Seq2SeqLMOutput

from bench.architectures.base import SequenceSpec

# In an exported folder this line names the architecture of the folder.
from bench.architectures.transformer import Transformer as Model

BATCH = 512
"""Problems answered at once, as in arithbench: the last bits of a sum depend on it."""
NOT_SCORED = -100
"""The label of what does not enter the loss."""
SYMBOL = re.compile(r"\\times|\\frac|\\mathrm\{r\}|<[a-z]+>|.", re.DOTALL)
"""One symbol of an answer: a character, a command of LaTeX, or a special token."""


class ArithbenchConfig(PretrainedConfig):
    """What was trained, on what texts.

    `architecture`: its name in arithbench. `settings`: its config's fields. `sequence`: its `SequenceSpec`, widths and
    ids of the special tokens. `prompt_end`: what ends every prompt, '=' or ' ='; `prompt_end_token_id`: of its '='.
    `workings_end`: the symbol between workings and answer, '' where there are no workings. `precision`: '32', 'bf16' or
    '16', of matrix products.
    """

    model_type = "arithbench"

    def __init__(
        self,
        architecture: str = "",
        settings: dict[str, Any] | None = None,
        sequence: dict[str, Any] | None = None,
        prompt_end: str = "=",
        prompt_end_token_id: int = 0,
        workings_end: str = "",
        precision: str = "32",
        **kwargs: Any,
    ) -> None:
        self.architecture, self.precision = architecture, precision
        self.settings, self.sequence = settings or {}, sequence or {}
        self.prompt_end, self.prompt_end_token_id = prompt_end, prompt_end_token_id
        self.workings_end = workings_end
        super().__init__(**kwargs)


def ids_of(text: str, tokenizer: Any) -> list[int] | None:
    """The tokens of a text; None where some symbol has none."""
    try:
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    except Exception:  # the package tokenizers raises no other
        return None
    return ids if tokenizer.decode(ids) == text else None


class Arithbench(PreTrainedModel):
    """What the three classes have in common."""

    config_class = ArithbenchConfig
    main_input_name = "input_ids"
    accepts_loss_kwargs = False
    """Read by `Trainer` of transformers: the loss is a mean over the symbols of one call."""

    def __init__(self, config: ArithbenchConfig) -> None:
        super().__init__(config)
        self.spec = SequenceSpec(**config.sequence | {"digits": tuple(config.sequence["digits"])})
        with torch.device("cpu"):  # whoever loads the weights may have made another one the default, without memory
            self.architecture = Model(Model.Config(**config.settings), self.spec)
        # Buffers that follow from the config would not survive loading, which makes room for them and fills in nothing.
        for module in self.architecture.modules():
            module._non_persistent_buffers_set.clear()
        PreTrainedModel.post_init(self)

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: an architecture draws its own weights when it is built."""

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        """`generate` makes no cache, not even where it is asked to: it would stay empty."""
        return False

    @torch.no_grad()
    def answer(self, texts: str | list[str], tokenizer: Any) -> Any:
        """Greedy answers to prompts such as '-12*7=' (the '=' may be left out), as a person reads them: where the model
        writes the last digit first, the order is turned round, and workings are left out. One string for a string, a
        list for a list.

        Raises:
            TypeError: neither a string nor a list of strings.
            ValueError: a prompt is wider than the model was trained on, or has a symbol that it does not know.
        """
        if isinstance(texts, str):
            return self.answer([texts], tokenizer)[0]
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
            raise TypeError("texts: expected a string or a list of strings")
        if not texts:
            return []
        prompts = [text if text.endswith("=") else text + self.config.prompt_end for text in texts]
        rows = [self._ids(prompt, tokenizer) for prompt in prompts]
        width = max(map(len, rows))
        padded = [[self.spec.pad] * (width - len(row)) + row for row in rows]
        answers = self.answer_ids(torch.tensor(padded, device=self.device)).tolist()
        ended = [row[: row.index(self.spec.eos)] if self.spec.eos in row else row for row in answers]
        return [self._read(tokenizer.decode(row)) for row in ended]

    @torch.no_grad()
    def answer_ids(self, input_ids: Tensor) -> Tensor:
        """(B, P) prompts, padded on the left -> (B, A) greedy answers: symbols, the end token, then pads."""
        prompt = self._widened(input_ids)
        with self._autocast():
            parts = [self.architecture.generate(rows, self.spec.answer_width) for rows in prompt.split(BATCH)]
        return torch.cat(parts)

    def _ids(self, prompt: str, tokenizer: Any) -> list[int]:
        ids = ids_of(prompt, tokenizer)
        if ids is None:
            unknown = [f"'{part}'" for part in dict.fromkeys(SYMBOL.findall(prompt)) if ids_of(part, tokenizer) is None]
            raise ValueError(f"'{prompt}' has symbols that the model does not know: {', '.join(unknown)}")
        return ids

    def _read(self, written: str) -> str:
        """A written answer as a person reads it."""
        end = self.config.workings_end
        symbols = SYMBOL.findall(written.partition(end)[2] if end else written)
        return "".join(symbols[::-1] if self.spec.reversed else symbols)

    def _widened(self, prompt: Tensor) -> Tensor:
        """Prompts with pads on the left up to the width that the model was trained on, and checked."""
        short = self.spec.prompt_width - prompt.shape[1]
        if (prompt[:, -1] != self.config.prompt_end_token_id).any():
            raise ValueError("a prompt that does not end in '='; pad prompts on the left")
        if (prompt[:, : max(-short, 0)] != self.spec.pad).any():
            widest = int((prompt != self.spec.pad).sum(1).max())
            raise ValueError(f"a prompt of {widest} tokens; the widest is {self.spec.prompt_width}")
        return F.pad(prompt, (short, 0), value=self.spec.pad)

    def _next(self, prompt: Tensor, written: Tensor) -> Tensor:
        """(B, P) prompts, (B, N) answers so far -> (B, N + 1, V): logits of each symbol written, and of the next."""
        left = self.spec.answer_width - written.shape[1]
        if left < 1:
            raise ValueError(f"an answer of {written.shape[1]} tokens; the longest is {self.spec.answer_width}")
        answer = F.pad(written, (0, left), value=self.spec.pad)
        with self._autocast():
            return self.architecture.logits(self._widened(prompt), answer)[:, : written.shape[1] + 1]

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """() mean negative log-likelihood of the labels (B, N) that are not -100, by logits (B, N, V)."""
        if logits.shape[:2] != labels.shape:
            raise TypeError(f"labels: {tuple(labels.shape)} of an answer, where it has {tuple(logits.shape[:2])}")
        if not (labels != NOT_SCORED).any():
            raise TypeError("labels: none of them is a symbol of an answer")
        return F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=NOT_SCORED)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.config.precision == "bf16")


class Writing(Arithbench, GenerationMixin):
    """What the two have in common that write symbol by symbol."""

    def generate(self, *args: Any, stopping_criteria: Any = None, **kwargs: Any) -> Any:
        """As in transformers, but that it ends at the widest answer at the latest."""
        criteria = StoppingCriteriaList([*(stopping_criteria or []), self._is_widest])
        return super().generate(*args, stopping_criteria=criteria, **kwargs)

    def _is_widest(self, ids: Tensor, scores: Any, **ignored: Any) -> Tensor:
        """(B,) whether answers have the largest width: all or none."""
        return torch.full((len(ids),), ids.shape[1] - self._start(ids) >= self.spec.answer_width, device=ids.device)

    def _start(self, ids: Tensor) -> int:
        """The column of the first answer symbol in the ids that `generate` appends to."""
        if self.config.is_encoder_decoder:
            return 1  # behind the token bos
        return int((ids[0] == self.config.prompt_end_token_id).int().argmax()) + 1

    def _answers(self, ids: Tensor) -> Tensor:
        """(B, N) answers with pads behind them -> the same, no wider than the widest, and checked."""
        is_pad = ids == self.spec.pad
        if (is_pad[:, :-1] & ~is_pad[:, 1:]).any():
            raise ValueError("a pad or a label of -100 before a symbol of an answer, which depends on all before it")
        if not is_pad[:, self.spec.answer_width :].all():
            longest = int((~is_pad).sum(1).max())
            raise ValueError(f"an answer of {longest} tokens; the longest is {self.spec.answer_width}")
        return ids[:, : self.spec.answer_width]

    def _without_pads(self, labels: Tensor) -> Tensor:
        return labels.masked_fill(labels == self.spec.pad, NOT_SCORED)


def rolled(x: Tensor, steps: Tensor) -> Tensor:
    """(B, N, ...) rows moved to the right by steps (B,); what leaves a row there enters it on the left."""
    columns_BN = (torch.arange(x.shape[1], device=x.device) - steps[:, None]) % x.shape[1]
    return x[torch.arange(len(x), device=x.device)[:, None], columns_BN]


class ArithbenchForCausalLM(Writing):
    """Writes the answer behind the prompt, symbol by symbol."""

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        **ignored: Any,
    ) -> CausalLMOutput:
        """(B, P + N) prompts, padded on the left so that each '=' stands in the same column, and the answers so far ->
        logits (B, N + 1, V) of what follows the '=' and each symbol behind it. The attention mask is ignored:
        pads are known by their id.

        With labels (B, P + N), such as `input_ids` themselves: the loss of those of the answer, and logits (B, N, V).
        Rows may then be padded on either side: each is moved so that its '=' stands in the same column.
        """
        at = (input_ids == self.config.prompt_end_token_id).int().argmax(1)
        column = int(at.max()) + 1
        if labels is None:
            return CausalLMOutput(logits=self._next(input_ids[:, :column], input_ids[:, column:]))
        if labels.shape != input_ids.shape:
            raise TypeError(f"labels: {tuple(labels.shape)}, where input_ids have {tuple(input_ids.shape)}")
        steps = column - 1 - at
        room = (0, int(steps.max()))
        input_ids = rolled(F.pad(input_ids, room, value=self.spec.pad), steps)
        labels = rolled(F.pad(self._without_pads(labels), room, value=NOT_SCORED), steps)
        written = self._answers(input_ids[:, column:])
        logits = self._next(input_ids[:, :column], written[:, :-1])[:, : written.shape[1]]
        return CausalLMOutput(loss=self._loss(logits, labels[:, column:][:, : written.shape[1]]), logits=logits)

    def prepare_inputs_for_generation(self, input_ids: Tensor, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """What `forward` is given at each step of `generate`: all symbols so far."""
        return {"input_ids": input_ids}


class Prompt(nn.Module):
    """Stands where `generate` looks for an encoder, and hands the prompt on: the architecture encodes it itself."""

    main_input_name = "input_ids"

    def forward(self, input_ids: Tensor, **ignored: Any) -> BaseModelOutput:
        return BaseModelOutput(last_hidden_state=input_ids)


class ArithbenchForSeq2SeqLM(Writing):
    """Reads the prompt, then writes the answer as a sequence of its own."""

    def __init__(self, config: ArithbenchConfig) -> None:
        super().__init__(config)
        self.encoder = Prompt()

    def get_encoder(self, *args: Any, **kwargs: Any) -> nn.Module:
        return self.encoder

    def forward(
        self,
        input_ids: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        encoder_outputs: BaseModelOutput | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        **ignored: Any,
    ) -> Seq2SeqLMOutput:
        """(B, P) prompts, padded on the left, and (B, 1 + N) the token bos with the answers so far behind it -> logits
        (B, N + 1, V). `encoder_outputs` holds the prompts where `input_ids` does not. The attention mask is ignored.

        With labels (B, N), answers with their end token: their loss. The decoder then reads the labels themselves,
        which may be padded on either side, and the logits are (B, N, V), unless `decoder_input_ids` are given.
        """
        prompt = encoder_outputs[0] if encoder_outputs is not None else input_ids
        if prompt is None:
            raise ValueError("neither input_ids nor encoder_outputs")
        if labels is None:
            logits = self._next(prompt, prompt[:, :0] if decoder_input_ids is None else decoder_input_ids[:, 1:])
        elif decoder_input_ids is not None:
            logits = self._next(prompt, self._answers(decoder_input_ids[:, 1:]))
        else:
            given = labels.masked_fill(labels == NOT_SCORED, self.spec.pad)
            pads = (given != self.spec.pad).int().argmax(1)  # in front of each answer
            logits = self._next(prompt, self._answers(rolled(given, -pads))[:, :-1])
            logits = rolled(F.pad(logits, (0, 0, 0, labels.shape[1] - logits.shape[1])), pads)
        loss = None if labels is None else self._loss(logits, self._without_pads(labels))
        return Seq2SeqLMOutput(loss=loss, logits=logits)

    def prepare_inputs_for_generation(self, input_ids: Tensor, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """What `forward` is given at each step of `generate`: the prompt, and all symbols of the answer so far."""
        return {"decoder_input_ids": input_ids, "encoder_outputs": kwargs["encoder_outputs"]}


class ArithbenchForInfilling(Arithbench):
    """Fills in the masks of a canvas behind the prompt."""

    def forward(self, input_ids: Tensor, labels: Tensor | None = None, **ignored: Any) -> MaskedLMOutput:
        """(B, P + A) prompts, padded on the left, and canvases: an answer with a mask in each column that is not known
        -> logits (B, A, V) of the canvas; with labels (B, P + A) the loss of those of the canvas.
        """
        if input_ids.shape[1] <= self.spec.answer_width:
            raise ValueError(
                f"input_ids of {input_ids.shape[1]} columns: expected prompts and behind each a canvas of "
                f"{self.spec.answer_width} (`answer` and `answer_ids` take prompts alone)"
            )
        canvas = input_ids[:, -self.spec.answer_width :]
        with self._autocast():
            logits = self.architecture.logits(self._widened(input_ids[:, : -self.spec.answer_width]), canvas)
        loss = None if labels is None else self._loss(logits, labels[:, -self.spec.answer_width :])
        return MaskedLMOutput(loss=loss, logits=logits)
