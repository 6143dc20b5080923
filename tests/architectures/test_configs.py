"""A config that no model can have is refused with value and rule: by the config, or by the model that it builds."""

from typing import Any

import pytest

from bench.architectures import Architecture, SequenceSpec
from bench.architectures.bitnet import BitNet
from bench.architectures.encoder_decoder import EncoderDecoder
from bench.architectures.gated_deltanet import GatedDeltaNet
from bench.architectures.looped import Looped
from bench.architectures.lstm import LSTM
from bench.architectures.mamba2 import Mamba2
from bench.architectures.masked_encoder import MaskedEncoder
from bench.architectures.retnet import RetNet
from bench.architectures.switch import Switch
from bench.architectures.transformer import Transformer


@pytest.mark.parametrize(
    ("architecture", "changes", "message"),
    [
        (Transformer, {"width": 65}, "width 65: must be a multiple of 4 with 4 heads"),
        (Transformer, {"dropout": 1.5}, "dropout 1.5: must be at least 0 and less than 1"),
        (LSTM, {"dropout": 1.0}, "dropout 1.0: must be at least 0 and less than 1"),
        (LSTM, {"dropout": -0.1}, "dropout -0.1: must be at least 0 and less than 1"),
        (EncoderDecoder, {"width": 61}, "width 61: must be a multiple of 4 with 4 heads"),
        (EncoderDecoder, {"layers": 1}, "layers 1: an encoder-decoder needs at least 2"),
        (EncoderDecoder, {"buckets": 3}, "buckets 3: there must be at least 4"),
        (EncoderDecoder, {"furthest": 16}, "furthest 16: must be more than half of buckets 32"),
        (MaskedEncoder, {"width": 65}, "width 65: must be a multiple of 4 with 4 heads"),
        (MaskedEncoder, {"passes": 0}, "passes 0: must be at least 1"),
        (Switch, {"width": 45}, "width 45: must be a multiple of 4 with 4 heads"),
        (Switch, {"layers": 1}, "layers 1: a switch transformer needs at least 2"),
        (Switch, {"experts": 0}, "experts 0: must be at least 1"),
        (Switch, {"capacity": 0.0}, "capacity 0.0: must be more than 0"),
        (Switch, {"balance": -0.1}, "balance -0.1: must be at least 0"),
        (Switch, {"jitter": 1.5}, "jitter 1.5: must be at least 0 and less than 1"),
        (BitNet, {"bias": True}, "bias True: is False in this architecture; others have it to choose"),
        (BitNet, {"width": 60, "positions": "rotary"}, "width 60: must be a multiple of 8 with 4 heads"),
        (Transformer, {"positions": "rope"}, "positions 'rope': must be one of learned, rotary, none, abacus"),
        (Transformer, {"positions": "rotary", "width": 60}, "width 60: must be a multiple of 8 with 4 heads"),
        (Transformer, {"offsets": 0}, "offsets 0: must be at least 1"),
        (Looped, {"passes": 0}, "passes 0: must be at least 1"),
        (Looped, {"passes": 2, "supervised": 3}, "supervised 3: must be from 1 to the 2 passes"),
        (RetNet, {"activation": "tanh"}, "activation 'tanh': must be one of gelu, geglu, swiglu, relu"),
        (EncoderDecoder, {"positions": "rotary"}, "positions 'rotary': must be one of relative, learned"),
        (RetNet, {"width": 60}, "width 60: must be a multiple of 8 with 4 heads"),
        (Mamba2, {"width": 51}, "width 51: must be a multiple of 2 with 4 heads"),
        (GatedDeltaNet, {"width": 45}, "width 45: must be a multiple of 4 with 4 heads"),
    ],
)
def test_impossible_config_is_refused(
    architecture: type[Architecture], changes: dict[str, Any], message: str, spec: SequenceSpec
) -> None:
    with pytest.raises(ValueError, match=message):
        architecture(architecture.Config(**changes), spec)


@pytest.mark.parametrize("architecture", [Transformer, EncoderDecoder, MaskedEncoder, Switch, Looped, GatedDeltaNet])
def test_heads_may_be_chosen_before_the_width(architecture: type[Architecture]) -> None:
    """The width is fitted later, in steps that the heads divide."""
    assert architecture.Config(heads=7).size_step == 7
