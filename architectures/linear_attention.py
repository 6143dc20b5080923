"""What models with linear attention share: a state that decays, in place of the keys and values of all symbols.

State S of a head, from symbol to symbol: S_t = a_t S_t-1 + k_t v_t', out_t = S_t' q_t, with a decay 0 <= a_t <= 1. The
same function, written out over a chunk of symbols, is attention without softmax whose scores decay with distance. Sun
et al., "Retentive Network", 2023, call these the recurrent, the parallel and, with a state passed from chunk to chunk,
the chunkwise form; Dao and Gu, "Transformers are SSMs", 2024, structured state-space duality. There is one form here,
the chunkwise: a sequence in one chunk is the parallel form, one symbol after another the recurrent one.

B batch, P prompt, A answer, S symbols read, T <= S symbols written, C <= S symbols of a chunk, D width, H heads, K key
and V value of a head, N channels, W window, V vocabulary in logits
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.architectures.base import Autoregressive, SequenceSpec

StatePositions = Literal["none", "learned"]
"""What a symbol is told of its place beside the order in which it is read: nothing, or a vector for its column, counted
from the '=' and drawn as those of the symbols are."""
Chunk = Callable[..., tuple[Tensor, Tensor | None]]
"""As `decayed_attention`: its tensors along S, the state before them, whether the state after them is wanted."""


def decay_between(log_decay_BHC: Tensor) -> Tensor:
    """(B, H, C) -> (B, H, C, C) product of the decays after symbol j up to symbol i; 0 where j comes after i."""
    sum_BHC = log_decay_BHC.cumsum(-1)
    ahead_CC = torch.ones(2 * sum_BHC.shape[-1:], dtype=torch.bool, device=sum_BHC.device).triu(1)
    return (sum_BHC[..., :, None] - sum_BHC[..., None, :]).masked_fill(ahead_CC, -torch.inf).exp()


def decayed_attention(
    q_BHCK: Tensor,
    k_BHCK: Tensor,
    v_BHCV: Tensor,
    log_decay_BHC: Tensor,
    state_BHKV: Tensor | None,
    keep: bool,
    between_BHCC: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """One chunk, after what `state` holds (None: nothing) -> (B, H, C, V), and the state after it if `keep`.

    `between_BHCC`: what `decay_between` gives, where it is known.
    """
    if between_BHCC is None:
        between_BHCC = decay_between(log_decay_BHC)
    out_BHCV = (q_BHCK @ k_BHCK.mT * between_BHCC) @ v_BHCV
    if state_BHKV is None and not keep:  # the parallel form: training in one chunk
        return out_BHCV, None
    sum_BHC1 = log_decay_BHC.cumsum(-1)[..., None]
    if state_BHKV is not None:
        out_BHCV = out_BHCV + (q_BHCK * sum_BHC1.exp()) @ state_BHKV
    if not keep:
        return out_BHCV, None
    whole_BH11 = sum_BHC1[:, :, -1:]
    # As exact as the decays in reduced precision too: a state is added to at every symbol.
    written_BHKV = ((k_BHCK * (whole_BH11 - sum_BHC1).exp()).mT @ v_BHCV).to(whole_BH11.dtype)
    if state_BHKV is not None:
        written_BHKV.addcmul_(whole_BH11.exp(), state_BHKV)  # in place: a state is large, its memory slow to come by
    return out_BHCV, written_BHKV


def in_chunks(
    form: Chunk, size: int, parts: tuple[Tensor, ...], state: Tensor | None, keep: bool
) -> tuple[Tensor, Tensor | None]:
    """Apply `form` to tensors (B, H, S, ...), `size` symbols at a time, handing the state on."""
    length = parts[0].shape[2]
    out = []
    for start in range(0, length, size):
        chunk = (part[:, :, start : start + size] for part in parts)
        out_BHCV, state = form(*chunk, state, keep or start + size < length)
        out.append(out_BHCV)
    return (out[0] if len(out) == 1 else torch.cat(out, dim=2)), state


class ShortConvolution(nn.Module):
    """Each channel mixed with its values at the last W symbols (a causal depthwise convolution)."""

    def __init__(self, channels: int, window: int, bias: bool) -> None:
        super().__init__()
        bound = 1 / math.sqrt(window)  # as `nn.Conv1d` draws them
        self.weight = nn.Parameter(torch.empty(channels, 1, window).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(channels).uniform_(-bound, bound)) if bias else None

    def forward(self, x_BSN: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """Symbols after the W - 1 of `past` (None: zeros) -> (B, S, N), and the last W - 1 of all, (B, W - 1, N)."""
        before = self.weight.shape[2] - 1
        seen = x_BSN if past is None else torch.cat([past, x_BSN], dim=1)
        # torch gives `apply` no types.
        mixed: Tensor = _Mixed.apply(seen, self.weight, self.bias, x_BSN.shape[1])  # type: ignore[no-untyped-call]
        if past is None:
            seen = F.pad(x_BSN, (0, 0, max(0, before - x_BSN.shape[1]), 0))
        return mixed, seen[:, seen.shape[1] - before :]


class _Mixed(torch.autograd.Function):
    """The last S rows of a causal depthwise convolution, as a sum of shifted copies, with its gradient by hand.

    At these lengths that takes less time on processors than a grouped convolution, and than torch's gradient of the
    sum, which fills and adds a tensor for each copy.
    """

    @staticmethod
    def forward(ctx: Any, seen_BRN: Tensor, weight_N1W: Tensor, bias_N: Tensor | None, length: int) -> Tensor:
        taps_WN = weight_N1W[:, 0].T.flip(0).contiguous()  # that of the symbol itself first
        ctx.save_for_backward(seen_BRN, taps_WN)
        ctx.length, ctx.biased = length, bias_N is not None
        now_BSN = seen_BRN[:, seen_BRN.shape[1] - length :]
        mixed_BSN = now_BSN * taps_WN[0] if bias_N is None else torch.addcmul(bias_N, now_BSN, taps_WN[0])
        for lag, tap_N in enumerate(taps_WN[1:], 1):
            to, earlier = _lagged(mixed_BSN, seen_BRN, lag)
            to.addcmul_(earlier, tap_N)
        return mixed_BSN

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor | None, None]:
        seen_BRN, taps_WN = ctx.saved_tensors
        [to_mixed_BSN] = gradients
        to_seen_BRN = torch.empty_like(seen_BRN)
        first = seen_BRN.shape[1] - ctx.length
        to_seen_BRN[:, :first] = 0
        torch.mul(to_mixed_BSN, taps_WN[0], out=to_seen_BRN[:, first:])
        to_taps = [(to_mixed_BSN * seen_BRN[:, first:]).sum((0, 1))]
        for lag, tap_N in enumerate(taps_WN[1:], 1):
            to, earlier = _lagged(to_mixed_BSN, seen_BRN, lag)
            to_taps.append((to * earlier).sum((0, 1)))
            _lagged(to_mixed_BSN, to_seen_BRN, lag)[1].addcmul_(to, tap_N)
        to_weight_N1W = torch.stack(to_taps[::-1], dim=1)[:, None]
        return to_seen_BRN, to_weight_N1W, to_mixed_BSN.sum((0, 1)) if ctx.biased else None, None


def _lagged(mixed_BSN: Tensor, seen_BRN: Tensor, lag: int) -> tuple[Tensor, Tensor]:
    """The rows that see a symbol `lag` rows before them, and those of these symbols: as many of each."""
    rows = seen_BRN.shape[1]
    first = rows - mixed_BSN.shape[1] - lag
    return mixed_BSN[:, max(0, -first) :], seen_BRN[:, max(0, first) : max(0, rows - lag)]


class StateDecoder(Autoregressive):
    """Embedding, blocks that hand a state on from symbol to symbol, norm and head.

    A block takes symbols (B, S, D), which of them are no pads (B, S, 1), how many of the last are wanted, its state
    before them (None: empty) and whether that after them is wanted; it gives (B, T, D) and the new state. Pads of the
    prompt come before all symbols: a block sees to it that they write nothing, and an empty state has nothing to lose.
    """

    def __init__(
        self, config: Any, spec: SequenceSpec, block: Callable[[Any], nn.Module], norm: nn.Module, bias: bool = False
    ) -> None:
        """`block` makes a block of the config; `bias`: whether the head has one."""
        super().__init__(config, spec)
        self.symbols = nn.Embedding(spec.vocabulary, config.width)
        rows = spec.prompt_width + spec.answer_width - 1
        self.positions = nn.Embedding(rows, config.width) if config.positions == "learned" else None
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(block(config) for _ in range(config.layers))
        self.norm = norm
        self.head = nn.Linear(config.width, spec.vocabulary, bias=bias)

    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        symbols_BS = torch.cat([prompt, answer[:, :-1]], dim=1)
        return self._run(symbols_BS, answer.shape[1], self._empty_state(prompt), keep=False)[0]

    def begin(self, prompt: Tensor, width: int) -> tuple[Tensor, Any]:
        logits_B1V, state = self._run(prompt, 1, self._empty_state(prompt), keep=True)
        return logits_B1V[:, 0], state

    def advance(self, symbol: Tensor, state: Any) -> tuple[Tensor, Any]:
        logits_B1V, state = self._run(symbol[:, None], 1, state, keep=True)
        return logits_B1V[:, 0], state

    def _empty_state(self, prompt: Tensor) -> tuple[int, Any]:
        """The state before a prompt: the place of its first column, so that all have the '=' at the same, and none of
        the blocks'.
        """
        return self.spec.prompt_width - prompt.shape[1], None

    def _run(self, symbols_BS: Tensor, wanted: int, state: tuple[int, Any], keep: bool) -> tuple[Tensor, Any]:
        """Symbols after those in `state` -> logits (B, wanted, V) at the last of them; the next place and the states of
        the blocks.
        """
        first, states = state
        end = first + symbols_BS.shape[1]
        x_BSD = self.symbols(symbols_BS)
        if self.positions is not None:
            x_BSD = x_BSD + self.positions(torch.arange(first, end, device=x_BSD.device))
        x_BSD = self.drop(x_BSD)
        visible_BS1 = (symbols_BS != self.spec.pad)[..., None]
        kept = []
        for number, block in enumerate(self.blocks):
            rows = wanted if number == len(self.blocks) - 1 else x_BSD.shape[1]  # no later block reads the rest
            x_BSD, block_state = block(x_BSD, visible_BS1, rows, None if states is None else states[number], keep)
            kept.append(block_state)
        return self.head(self.norm(x_BSD)), (end, kept)
