"""Models of other libraries that a user would pick instead, each as large and deep as an architecture of ours.

Each is built as its library's documentation says, without dropout, and trained by plain fused AdamW: no clipping, no
schedule. They read the same symbols as our own and are scored on the answer alone. Where a default would be a handicap
at this length (chunks of 256 symbols, attention that is not fused), it is set to what serves 16 symbols.

B batch, P prompt, A answer, S = P + A, D width, V vocabulary
"""

import dataclasses
import importlib.util
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from bench.architectures import SequenceSpec
from bench.planning.sizing import SkipDrawing, flop_counter, nearest

LEARNING_RATE = 1e-3
IGNORED = -100
"""Label of symbols that are not scored, in torch and in transformers."""


@dataclass(frozen=True, kw_only=True)
class PeerSize:
    """What decides how large a peer is."""

    layers: int
    """blocks; of an encoder-decoder both sides together"""
    heads: int
    """attention heads; the width is a multiple"""
    experts: int
    """of sparse models"""
    width: int
    feedforward: int | None = None
    """None is the library's usual multiple of the width; of mamba2 the size of its state, None being the width"""


class Peer(nn.Module, ABC):
    """A model of another library behind the two calls that are measured."""

    name: ClassVar[str]
    counterpart: ClassVar[str]
    """our architecture that it is compared with"""
    module: ClassVar[str] = "torch"
    """the package that it comes from, as imported"""
    has_feedforward: ClassVar[bool] = True
    """whether `PeerSize.feedforward` changes anything"""
    routes: ClassVar[bool] = False
    """whether shapes depend on data, so that nothing can be counted without any"""

    def __init__(self, size: PeerSize, spec: SequenceSpec) -> None:
        super().__init__()
        self.size, self.spec = size, spec

    @abstractmethod
    def loss(self, prompt: Tensor, answer: Tensor) -> Tensor:
        """(B, P), (B, A) -> () mean negative log-likelihood of the answer's symbols."""

    def generate(self, prompt: Tensor, width: int) -> Tensor | None:
        """(B, P) -> (B, width) greedy symbols; None where the library has no fast way to write them."""
        return None


class _LanguageModel(Peer):
    """Reads prompt and answer as one sequence, each symbol but the last, and predicts the next."""

    def loss(self, prompt: Tensor, answer: Tensor) -> Tensor:
        symbols_BS = torch.cat([prompt, answer], dim=1)
        logits_BAV = self.logits(symbols_BS[:, :-1])[:, -answer.shape[1] :]
        return F.cross_entropy(logits_BAV.flatten(0, 1), answer.flatten())

    @abstractmethod
    def logits(self, symbols: Tensor) -> Tensor:
        """(B, T) -> (B, T, V)."""


class _Recurrent(_LanguageModel):
    """A bare loop: embedding, torch's fused cells, head."""

    has_feedforward = False
    cells: ClassVar[type[nn.LSTM] | type[nn.GRU]]

    def __init__(self, size: PeerSize, spec: SequenceSpec) -> None:
        super().__init__(size, spec)
        self.symbols = nn.Embedding(spec.vocabulary, size.width)
        self.cell = self.cells(size.width, size.width, size.layers, batch_first=True)
        self.head = nn.Linear(size.width, spec.vocabulary)

    def logits(self, symbols: Tensor) -> Tensor:
        logits_BTV: Tensor = self.head(self.cell(self.symbols(symbols))[0])
        return logits_BTV


class BareLSTM(_Recurrent):
    name, counterpart, cells = "nn.LSTM", "lstm", nn.LSTM


class BareGRU(_Recurrent):
    name, counterpart, cells = "nn.GRU", "gru", nn.GRU


class TorchEncoder(_LanguageModel):
    """torch's own blocks under a causal mask: pre-norm, GELU, learned positions."""

    name, counterpart = "nn.TransformerEncoder", "transformer"

    def __init__(self, size: PeerSize, spec: SequenceSpec) -> None:
        super().__init__(size, spec)
        length = spec.prompt_width + spec.answer_width
        self.symbols, self.places = nn.Embedding(spec.vocabulary, size.width), nn.Embedding(length, size.width)
        block = nn.TransformerEncoderLayer(
            size.width,
            size.heads,
            size.feedforward or 4 * size.width,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        norm = nn.LayerNorm(size.width)
        self.blocks = nn.TransformerEncoder(block, size.layers, norm=norm, enable_nested_tensor=False)
        self.head = nn.Linear(size.width, spec.vocabulary, bias=False)

    def logits(self, symbols: Tensor) -> Tensor:
        length, device = symbols.shape[1], symbols.device
        mask_TT = nn.Transformer.generate_square_subsequent_mask(length, device=device)
        x_BTD = self.symbols(symbols) + self.places(torch.arange(length, device=device))
        logits_BTV: Tensor = self.head(self.blocks(x_BTD, mask=mask_TT, is_causal=True))
        return logits_BTV


class XTransformer(_LanguageModel):
    """The decoder of x-transformers, its attention fused."""

    name, counterpart, module = "x-transformers", "transformer", "x_transformers"

    def __init__(self, size: PeerSize, spec: SequenceSpec) -> None:
        super().__init__(size, spec)
        with warnings.catch_warnings(action="ignore"):  # of torch.jit, which it still uses
            library = import_module("x_transformers")
        self.model = library.TransformerWrapper(
            num_tokens=spec.vocabulary,
            max_seq_len=spec.prompt_width + spec.answer_width,
            attn_layers=library.Decoder(
                dim=size.width,
                depth=size.layers,
                heads=size.heads,
                attn_dim_head=size.width // size.heads,
                attn_flash=True,
                # Half a unit more, since the library rounds width x multiple down.
                ff_mult=((size.feedforward or 4 * size.width) + 0.5) / size.width,
            ),
        )

    def logits(self, symbols: Tensor) -> Tensor:
        logits_BTV: Tensor = self.model(symbols)
        return logits_BTV


class _HuggingFace(Peer):
    """A model of transformers; its own loss, under labels that leave the prompt out."""

    module = "transformers"
    classes: ClassVar[tuple[str, str]]
    """of config and model, as the library names them"""

    def __init__(self, size: PeerSize, spec: SequenceSpec) -> None:
        super().__init__(size, spec)
        library = import_module("transformers")
        library.logging.set_verbosity_error()  # its hints are on faster kernels, which are for GPUs
        config, model = (getattr(library, name) for name in self.classes)
        self.model = model(config(**self.settings(size, spec)))

    @staticmethod
    @abstractmethod
    def settings(size: PeerSize, spec: SequenceSpec) -> dict[str, Any]:
        """The fields of the config."""

    def loss(self, prompt: Tensor, answer: Tensor) -> Tensor:
        labels_BS = torch.cat([torch.full_like(prompt, IGNORED), answer], dim=1)
        loss: Tensor = self.model(input_ids=torch.cat([prompt, answer], dim=1), labels=labels_BS).loss
        return loss


class _Generates(_HuggingFace):
    """Writes by the library's `generate` with its cache; no symbol ends an answer, so that all are at full width."""

    def generate(self, prompt: Tensor, width: int) -> Tensor | None:
        written: Tensor = self.model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=width,
            do_sample=False,
            use_cache=True,
            eos_token_id=None,
            pad_token_id=self.spec.pad,
        )
        return written[:, -width:]


class GPT2(_Generates):
    name, counterpart = "GPT-2 (transformers)", "transformer"
    classes = "GPT2Config", "GPT2LMHeadModel"

    @staticmethod
    def settings(size: PeerSize, spec: SequenceSpec) -> dict[str, Any]:
        return {
            "vocab_size": spec.vocabulary,
            "n_positions": spec.prompt_width + spec.answer_width,
            "n_embd": size.width,
            "n_layer": size.layers,
            "n_head": size.heads,
            "n_inner": size.feedforward,
            "resid_pdrop": 0.0,
            "embd_pdrop": 0.0,
            "attn_pdrop": 0.0,
            "bos_token_id": None,
            "eos_token_id": None,
        }


def _sides(size: PeerSize) -> tuple[int, int]:
    """Blocks that encode, half of them rounded up as in our encoder-decoder, and those that decode."""
    return (size.layers + 1) // 2, max(1, size.layers // 2)


class _EncoderDecoder(_HuggingFace):
    """The encoder reads the prompt, the decoder the answer."""

    @staticmethod
    def settings(size: PeerSize, spec: SequenceSpec) -> dict[str, Any]:
        encoders, decoders = _sides(size)
        return {
            "vocab_size": spec.vocabulary,
            "d_model": size.width,
            "d_kv": size.width // size.heads,
            "num_layers": encoders,
            "num_decoder_layers": decoders,
            "num_heads": size.heads,
            "dropout_rate": 0.0,
            "pad_token_id": spec.pad,
            "eos_token_id": None,
            "decoder_start_token_id": spec.bos,
        }

    def loss(self, prompt: Tensor, answer: Tensor) -> Tensor:
        loss: Tensor = self.model(input_ids=prompt, labels=answer).loss
        return loss


class T5(_EncoderDecoder, _Generates):
    name, counterpart = "T5 (transformers)", "encoder-decoder"
    classes = "T5Config", "T5ForConditionalGeneration"

    @staticmethod
    def settings(size: PeerSize, spec: SequenceSpec) -> dict[str, Any]:
        own = {"d_ff": size.feedforward or 5 * size.width // 2, "feed_forward_proj": "gated-gelu"}
        return _EncoderDecoder.settings(size, spec) | own


class BERT(_HuggingFace):
    """All of the answer is masked; what is masked changes nothing of the cost."""

    name, counterpart = "BERT (transformers)", "masked-encoder"
    classes = "BertConfig", "BertForMaskedLM"

    @staticmethod
    def settings(size: PeerSize, spec: SequenceSpec) -> dict[str, Any]:
        return {
            "vocab_size": spec.vocabulary,
            "hidden_size": size.width,
            "num_hidden_layers": size.layers,
            "num_attention_heads": size.heads,
            "intermediate_size": size.feedforward or 4 * size.width,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "max_position_embeddings": spec.prompt_width + spec.answer_width,
            "pad_token_id": spec.pad,
        }

    def loss(self, prompt: Tensor, answer: Tensor) -> Tensor:
        canvas_BS = torch.cat([prompt, torch.full_like(answer, self.spec.mask)], dim=1)
        labels_BS = torch.cat([torch.full_like(prompt, IGNORED), answer], dim=1)
        loss: Tensor = self.model(input_ids=canvas_BS, labels=labels_BS).loss
        return loss


class SwitchTransformer(_EncoderDecoder):
    """The library's is an encoder-decoder, where ours is a decoder alone. Every second block of a side has experts."""

    name, counterpart, routes = "Switch (transformers)", "switch", True
    classes = "SwitchTransformersConfig", "SwitchTransformersForConditionalGeneration"

    @staticmethod
    def settings(size: PeerSize, spec: SequenceSpec) -> dict[str, Any]:
        encoders, decoders = _sides(size)
        return _EncoderDecoder.settings(size, spec) | {
            "d_ff": size.feedforward or 4 * size.width,
            "expert_capacity": 2**20,  # a small one drops symbols: less work than ours does
            "num_sparse_encoder_layers": (encoders + 1) // 2,
            "num_sparse_decoder_layers": (decoders + 1) // 2,
            "num_experts": size.experts,
        }


class Mamba2(_HuggingFace):
    """The library's path in torch alone; its kernels for GPUs are another package."""

    name, counterpart = "Mamba2 (transformers)", "mamba2"
    classes = "Mamba2Config", "Mamba2ForCausalLM"

    @staticmethod
    def settings(size: PeerSize, spec: SequenceSpec) -> dict[str, Any]:
        return {
            "vocab_size": spec.vocabulary,
            "hidden_size": size.width,
            "num_heads": size.heads,
            "head_dim": 2 * size.width // size.heads,
            "state_size": size.feedforward or size.width,
            "num_hidden_layers": size.layers,
            "n_groups": 1,
            "chunk_size": spec.prompt_width + spec.answer_width,
            "pad_token_id": spec.pad,
            "bos_token_id": spec.bos,
            "eos_token_id": None,
        }


PEERS: tuple[type[Peer], ...] = (
    *(BareLSTM, BareGRU, TorchEncoder, XTransformer),
    *(GPT2, T5, BERT, SwitchTransformer, Mamba2),
)


def get_peer(name: str) -> type[Peer]:
    """A peer by name; KeyError where there is none."""
    return {peer.name: peer for peer in PEERS}[name]


def installed(peer: type[Peer]) -> bool:
    """Whether the package of a peer is here."""
    return importlib.util.find_spec(peer.module) is not None


def count_peer_parameters(peer: type[Peer], size: PeerSize, spec: SequenceSpec) -> int:
    """All trainable parameters, tied ones once; nothing is allocated."""
    with torch.device("meta"), SkipDrawing():
        model = peer(size, spec)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def count_peer_flops(peer: type[Peer], size: PeerSize, spec: SequenceSpec) -> int:
    """Floating-point operations of one example's training, counted as `sizing.count_flops` counts ours.

    What routes by data is counted on the CPU, its attention spelt out, since the counter sees no fused one there.
    """
    with torch.device("cpu" if peer.routes else "meta"):
        model = peer(size, spec)
        prompt = torch.zeros((1, spec.prompt_width), dtype=torch.long)
        answer = torch.zeros((1, spec.answer_width), dtype=torch.long)
    with flop_counter() as counter, sdpa_kernel(SDPBackend.MATH):
        model.loss(prompt, answer).backward()
    return int(counter.get_total_flops())


def fit_peer(peer: type[Peer], size: PeerSize, spec: SequenceSpec, target: int) -> PeerSize:
    """The size nearest to `target` parameters: the width in steps of the heads, then the feed-forward for the rest."""

    @cache
    def count(units: int, feedforward: int | None) -> int:
        tried = dataclasses.replace(size, width=units * step, feedforward=feedforward)
        return count_peer_parameters(peer, tried, spec)

    step = 1 if issubclass(peer, _Recurrent) else size.heads
    units = nearest(partial(count, feedforward=None), target)
    feedforward = nearest(partial(count, units), target) if peer.has_feedforward else None
    return dataclasses.replace(size, width=units * step, feedforward=feedforward)
