"""BitNet b1.58: a transformer decoder whose inner matrices are ternary and whose activations have 8 bits.

Ma et al., "The Era of 1-bit LLMs: All Large Language Models are in 1.58 Bits", 2024: each weight is used as -1, 0 or 1
times the mean absolute value of its matrix (absmean), each symbol's activations as integers up to 127 times a scale of
their own (absmax). Gradients pass the rounding as if it were not there (straight-through), to weights kept in full.
The rest is LLaMA's, as in the paper: RMS norms, SiLU-gated feed-forward, rotary positions, no biases; and, as in the
BitNet of Wang et al., 2023, one more norm before each output matrix (SubLN). Embedding and head are not rounded.
Blocks are those of `transformer`, whose parts have the same choices here. Positions are learned unless asked otherwise:
at a dozen symbols rotary ones cost more than ternary weights (`docs/log.md`).

D width, I inputs, O outputs, M matrices
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.architectures.parts import Activation, Norm
from bench.architectures.registry import register
from bench.architectures.transformer import Block, Transformer, TransformerConfig

SMALLEST = 1e-5
"""Least scale, so that zeros stay zeros."""


@dataclass(frozen=True, kw_only=True)
class BitNetConfig(TransformerConfig):
    published: ClassVar = {"positions": "rotary"}
    faithful: ClassVar = ("bias",)

    width: int = 64
    """D, a multiple of `heads`"""
    norm: Norm = "rms"
    activation: Activation = "swiglu"
    subnorm: bool = True
    bias: bool = False


def straight_through(exact: Tensor, rounded: Tensor) -> Tensor:
    """`rounded`, which has no gradient of its own, with that of `exact`: what is added is exactly 0."""
    return rounded + (exact - exact.detach())


def ternary(weight_MOI: Tensor) -> Tensor:
    """M matrices -> each with values of -1, 0 and 1, times its mean absolute value."""
    exact = weight_MOI.detach()
    scale_M11 = exact.abs().mean(dim=(1, 2), keepdim=True).clamp(min=SMALLEST)
    return straight_through(weight_MOI, (exact / scale_M11).round().clamp(-1, 1) * scale_M11)


def in_8_bits(x: Tensor) -> Tensor:
    """(..., D) -> each row as whole numbers from -127 to 127, times a scale."""
    exact = x.detach()
    steps = 127 / exact.abs().amax(dim=-1, keepdim=True).clamp(min=SMALLEST)
    return straight_through(x, (exact * steps).round() / steps)


class BitLinear(nn.Module):
    """Several matrices, stacked by rows, that are all given the same input."""

    def __init__(self, inputs: int, outputs: int, matrices: int) -> None:
        super().__init__()
        self.matrices = matrices
        self.weight = nn.Parameter(torch.empty(matrices * outputs, inputs))

    def used(self) -> Tensor:
        """(M x O, I) the weights as they are used."""
        return ternary(self.weight.unflatten(0, (self.matrices, -1))).flatten(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) -> (..., M x O)."""
        return F.linear(in_8_bits(x), self.used())


@register
class BitNet(Transformer):
    name = "bitnet"
    family = "quantised transformer decoder"
    year = 2024
    paper = "Ma et al., The Era of 1-bit LLMs: All Large Language Models are in 1.58 Bits, 2024"
    Config: ClassVar = BitNetConfig

    def make_block(self, number: int) -> nn.Module:
        return Block(self.config, BitLinear)

    def draw(self) -> None:
        for module in self.modules():
            if isinstance(module, BitLinear | nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)

    @property
    def weight_bits(self) -> float:
        """With log2(3) bits for each ternary weight; the one scale of each matrix is left out."""
        bits, count = 0.0, 0
        rounded = {id(module.weight) for module in self.modules() if isinstance(module, BitLinear)}
        for parameter in self.parameters():
            bits += parameter.numel() * (math.log2(3) if id(parameter) in rounded else 8 * parameter.element_size())
            count += parameter.numel()
        return bits / count
