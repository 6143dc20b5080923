"""What an author does wrong is found by `check` and by `run`, before anything trains."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from calling import call
from torch import Tensor, nn

from bench.architectures import Autoregressive, Batch, Config, Loss, from_scratch, registry
from bench.architectures.gru import GRU
from bench.architectures.lstm import LSTM
from bench.architectures.switch import Switch
from bench.errors import UserError
from bench.planning.contract import refuse_broken
from bench.planning.decide import decide
from bench.planning.options import RunOptions


class ReadsBothWays(LSTM):
    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        ahead = self.symbols(answer).flip(1).cumsum(1).flip(1).sum(-1, keepdim=True)
        return super().logits(prompt, answer) + 1e-3 * ahead


class ForgetsTheShift(LSTM):
    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        return super().logits(torch.cat([prompt, answer[:, :1]], 1), torch.roll(answer, -1, 1))


class SeesTheLastSymbol(LSTM):
    """In the column of that symbol alone."""

    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        logits = super().logits(prompt, answer)
        return torch.cat([logits[:, :-1], logits[:, -1:] + self.symbols(answer[:, -1:]).sum(-1, keepdim=True)], 1)


class MixesRows(LSTM):
    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        logits = super().logits(prompt, answer)
        return logits - logits.mean(0)


class DropsWhileItAnswers(LSTM):
    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        return nn.functional.dropout(super().logits(prompt, answer), 0.1)


class CountsPads(LSTM):
    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        return super().logits(prompt, answer) * (1 + 0.01 * prompt.shape[1])


class DividesByZero(LSTM):
    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        return super().logits(prompt, answer) / 0.0


class OneSymbolTooFew(LSTM):
    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        return super().logits(prompt, answer)[..., :-1]


class OneColumnTooMany(LSTM):
    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        return super().logits(prompt, torch.cat([answer, answer[:, :1]], dim=1))


class GivesItsStateToo(LSTM):
    def logits(self, prompt: Tensor, answer: Tensor) -> Any:
        return super().logits(prompt, answer), None


class EmbeddingWithBatchNorm(nn.Embedding):
    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__(vocabulary, width)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, ids: Tensor) -> Tensor:
        normed: Tensor = self.norm(super().forward(ids).flatten(0, -2))
        return normed.unflatten(0, ids.shape)


class NormsOverTheBatch(LSTM):
    def __init__(self, config: Any, spec: Any) -> None:
        super().__init__(config, spec)
        self.symbols = EmbeddingWithBatchNorm(spec.vocabulary, config.width)


class LooksAtValues(LSTM):
    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        assert int(answer.max().item()) < self.spec.vocabulary
        return super().logits(prompt, answer)


class HasADeviceOfItsOwn(LSTM):
    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        return super().logits(prompt, answer) + torch.zeros(1, device="cpu").expand(self.spec.vocabulary)


class HasALayerForNothing(LSTM):
    def __init__(self, config: Any, spec: Any) -> None:
        super().__init__(config, spec)
        self.spare = nn.Linear(3, 3)


class CutsItsGradientOff(LSTM):
    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        weight = self.symbols.weight
        with torch.no_grad():
            prompt_sum = weight[prompt].sum() * 0
        logits = super().logits(prompt, answer)
        return (
            self.head(torch.zeros_like(logits[..., :1]).expand(*logits.shape[:2], self.head.in_features)) + prompt_sum
        )


class HasAnInfiniteLoss(LSTM):
    def loss(self, batch: Batch, rng: torch.Generator) -> Loss:
        loss = super().loss(batch, rng)
        return Loss(loss.nll_sum / 0, loss.count, loss.auxiliary)


class SaysNothing(LSTM):
    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        if prompt.device.type == "cpu":
            raise IndexError("too many\nindices")
        return super().logits(prompt, answer)


BROKEN = {
    ReadsBothWays: "logits of answer column 0 change with the symbols from that column on, .* reads both ways",
    ForgetsTheShift: "logits of answer column 0 change with the symbols from that column on.* a shift by one",
    SeesTheLastSymbol: "logits of answer column 4 change with the symbols from that column on",
    MixesRows: "logits of one problem change with the other problems of the batch: a layer mixes rows",
    DropsWhileItAnswers: "logits of the same batch are others the second time: something is drawn at random",
    CountsPads: "logits change with the padding left of a prompt",
    DividesByZero: "logits are not finite: a division by 0",
    OneSymbolTooFew: r"logits have shape \(2, 5, 16\); \(B, A, V\) is \(2, 5, 17\)",
    OneColumnTooMany: r"logits have shape \(2, 6, 17\); \(B, A, V\) is \(2, 5, 17\)",
    NormsOverTheBatch: r"it has a BatchNorm1d, a norm over the batch: .* \(take LayerNorm",
    GivesItsStateToo: r"logits gives a tuple, not a tensor \(B, A, V\)",
    LooksAtValues: r"it looks at values of tensors or .*: avoid that, or state them in training_flops\(\)",
    HasADeviceOfItsOwn: r"it looks at values of tensors or makes tensors on a device of its own",
    HasALayerForNothing: "no gradient reaches spare.weight and 1 more: `loss` does not use it",
    CutsItsGradientOff: "no gradient reaches .* and .* more: .* a detach",
    HasAnInfiniteLoss: "loss is inf: a logarithm of 0",
    SaysNothing: "cannot run here: IndexError: too many indices",
}


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test registers is forgotten after it."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))


def registered(cls: type[Any], **stated: Any) -> str:
    """The name of a class that is an architecture from now on."""
    # Python would name abc, the module of the metaclass, whose source leads to most of the standard library.
    registry.register(type(cls.__name__, (cls,), {"name": "mine", "__module__": __name__, **stated}))
    return "mine"


def tried(**options: Any) -> None:
    plan = decide(RunOptions(threads=1, **{"suite": "addition2"} | options), command="test")
    refuse_broken(plan, plan.architectures)


@pytest.mark.parametrize("name", list(from_scratch()))
def test_every_architecture_keeps_its_promises(name: str) -> None:
    tried(arch=name, suite="quick")


MANY = [name for name in from_scratch() if name not in ("lstm", "transformer", "masked-encoder")]


@pytest.mark.parametrize(
    "name", ["lstm", "transformer", "masked-encoder", *(pytest.param(name, marks=pytest.mark.torture) for name in MANY)]
)
def test_it_does_so_with_long_answers_too(name: str) -> None:
    tried(arch=name, suite="addition3-scratchpad")


@pytest.mark.parametrize(
    "setting",
    ["switch.experts=64", "switch.layers=6", "transformer.positions=abacus", "lstm.dropout=0.5", "bitnet.layers=6"],
)
def test_settings_break_no_promise(setting: str) -> None:
    tried(arch=setting.partition(".")[0], set=(setting,), params="400k")


@pytest.mark.parametrize("cls", BROKEN)
def test_a_broken_promise_is_one_line(cls: type[Any]) -> None:
    with pytest.raises(UserError, match=f"^mine: (its )?{BROKEN[cls]}") as caught:
        tried(arch=registered(cls))
    assert "\n" not in str(caught.value)


def test_what_is_born_as_zeros_hides_nothing() -> None:
    class WithAHeadOfZeros(ReadsBothWays):
        def __init__(self, config: Any, spec: Any) -> None:
            super().__init__(config, spec)
            nn.init.zeros_(self.head.weight)

        def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
            return self.head.weight.abs().sum() * super().logits(prompt, answer)

    with pytest.raises(UserError, match="mine: its logits of answer column 0"):
        tried(arch=registered(WithAHeadOfZeros))


def test_an_architecture_of_float32_alone_is_tried_in_float32() -> None:
    class InFloat32(GRU):
        def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
            assert self.head.weight.dtype == torch.float32
            return super().logits(prompt, answer)

    tried(arch=registered(InFloat32))


def test_an_expert_without_symbols_is_no_mistake() -> None:
    tried(arch=registered(Switch), set=("mine.experts=200",), params="1M", unequal=True)


@pytest.mark.parametrize("command", ["check", "run"])
def test_nothing_trains_and_no_folder_is_made(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = registered(ForgetsTheShift)
    asked = ("--arch", f"lstm,{name}", "--suite", "addition2", "--seeds", "1", "--out", str(tmp_path / "run"))
    status, out, err = call(capsys, monkeypatch, command, *asked)
    assert (status, out) == (2, "")
    assert err.startswith("bench: mine: its logits of answer column 0 change with the symbols from that column on")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_it_changes_no_state_of_torch() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads()
    tried(arch="lstm,switch")
    with pytest.raises(UserError):
        tried(arch=registered(SaysNothing))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.get_default_dtype(), torch.get_num_threads()) == before[1:]


# --- size fields ------------------------------------------------------------------------------------------------------


def with_sizes(*size_fields: str) -> type[Config]:
    """A config with four fields, of which `Sized` uses two, and none is None."""
    fields = [("width", int, 16), ("hidden", int, 32), ("unused", int, 1), ("named", str, "wide")]
    namespace = {"size_fields": size_fields}
    return dataclasses.make_dataclass("Sizes", fields, bases=(Config,), namespace=namespace, frozen=True, kw_only=True)


class Sized(Autoregressive):
    family, year, paper, debug = "recurrent", 2014, "Nobody, Nothing, 2014", {}

    def __init__(self, config: Any, spec: Any) -> None:
        super().__init__(config, spec)
        self.symbols = nn.Embedding(spec.vocabulary, config.width)
        self.cell = nn.GRUCell(config.width, config.hidden)
        self.head = nn.Linear(config.hidden, spec.vocabulary)

    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        state = self.head.weight.new_zeros(len(prompt), self.cell.hidden_size)
        states = []
        for symbol in torch.cat([prompt, answer[:, :-1]], 1).unbind(1):
            read = self.cell(self.symbols(symbol), state)
            state = torch.where(symbol[:, None] == self.spec.pad, state, read)
            states.append(state)
        return self.head(torch.stack(states[prompt.shape[1] - 1 :], 1))


def test_a_second_size_field_may_be_a_number() -> None:
    name = registered(Sized, Config=with_sizes("width", "hidden"))
    plan = decide(RunOptions(arch=name, suite="addition2", params="50k", threads=1), command="test")
    assert abs(plan.entries[name].parameters / 50_000 - 1) <= 0.02
    refuse_broken(plan, [name])


@pytest.mark.parametrize(
    ("size_fields", "says"),
    [
        (("width",), "expected none, or two of width, hidden, unused, named"),
        (("width", "heads"), "expected none, or two of width, hidden, unused, named"),
        (("width", "named"), "size field named is 'wide': expected a number"),
        (("width", "unused"), "even where a size field is .*: it has to use that field"),
        (("unused", "hidden"), "even where a size field is .*: it has to use that field"),
    ],
)
def test_size_fields_that_decide_no_size_are_one_line(size_fields: tuple[str, ...], says: str) -> None:
    with pytest.raises(UserError, match=f"^mine: .*{says}"):
        decide(
            RunOptions(arch=registered(Sized, Config=with_sizes(*size_fields)), params="50k", suite="addition2"),
            command="test",
        )
