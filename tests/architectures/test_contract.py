"""What every architecture promises to the bench, tested for each one that is registered. Shapes: test_shapes.py.

The golden loss curves lie in golden.json. They change only when a model, its birth or its loss does. Where that is
meant, and for a new architecture, write them anew and look at the difference:

    WRITE_GOLDEN=1 python -m pytest tests/architectures -k golden && git diff tests/architectures/golden.json
"""

import ast
import copy
import dataclasses
import inspect
import json
import os
import re
import textwrap
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from oracles import Build, Problems
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from bench.architectures import (
    Architecture,
    Autoregressive,
    Batch,
    Config,
    Loss,
    MaskedInfilling,
    SequenceSpec,
    contract,
)

GOLDEN = Path(__file__).parent / "golden.json"


def assert_equal(found: Tensor, expected: Tensor) -> None:
    """Equal but for the order of sums."""
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def unpadded(ids: Tensor, pad: int) -> Tensor:
    """(W,) -> (1, length), pads taken away."""
    return ids[ids != pad][None]


# --- what goes in and out ---------------------------------------------------------------------------------------------


def test_logits_are_finite(cls: type[Architecture], build: Build, problems: Problems) -> None:
    batch = problems(12)
    assert build(cls).logits(batch.prompt, batch.answer).isfinite().all()


def test_generate_gives_symbols_then_the_end_token_then_pads(
    cls: type[Architecture], build_learnt: Build, problems: Problems, spec: SequenceSpec
) -> None:
    answers = build_learnt(cls).generate(problems(64, 1).prompt, spec.answer_width)
    ended_before = (answers == spec.eos).cumsum(dim=1) - (answers == spec.eos).long()
    assert (answers[ended_before > 0] == spec.pad).all()
    assert len(ended_before.sum(dim=1).unique()) > 1, "all answers have one length: this test sees nothing"


def test_left_padding_is_invisible(
    cls: type[Architecture], build_stirred: Build, build_learnt: Build, problems: Problems, spec: SequenceSpec
) -> None:
    model, learnt = build_stirred(cls), build_learnt(cls)
    batch = problems(24)
    answers = learnt.generate(batch.prompt, spec.answer_width)
    assert contract.rows_that_see_padding(model, batch, range(24), 1e-9) == []
    for row in range(len(batch.prompt)):
        bare = unpadded(batch.prompt[row], spec.pad)
        for prompt in (bare, F.pad(bare, (1, 0), value=spec.pad)):
            if prompt.shape[1] <= spec.prompt_width:
                assert torch.equal(learnt.generate(prompt, spec.answer_width)[0], answers[row])


def test_batch_mates_are_invisible(
    cls: type[Architecture], build_stirred: Build, build_learnt: Build, problems: Problems, spec: SequenceSpec
) -> None:
    model, learnt = build_stirred(cls), build_learnt(cls)
    batch = problems(24)
    logits, answers = model.logits(batch.prompt, batch.answer), learnt.generate(batch.prompt, spec.answer_width)
    assert contract.rows_that_see_others(model, batch, [0, 5, 23], 1e-9) == []
    for rows in ([0], [5], [23, 1], [7, 7, 2]):
        assert_equal(model.logits(batch.prompt[rows], batch.answer[rows]), logits[rows])
        assert torch.equal(learnt.generate(batch.prompt[rows], spec.answer_width), answers[rows])


def test_likelihoods_are_probabilities_that_do_not_see_their_own_symbol(
    cls: type[Architecture], build_stirred: Build, problems: Problems, spec: SequenceSpec
) -> None:
    model, batch = build_stirred(cls), problems(1)
    every = torch.arange(spec.vocabulary)
    prompt, answer = batch.prompt.repeat(spec.vocabulary, 1), batch.answer.repeat(spec.vocabulary, 1)
    for column in range(spec.answer_width):
        answers = answer.clone()
        answers[:, column] = every
        likelihoods = model.likelihoods(prompt, answers)
        assert ((likelihoods >= 0) & (likelihoods <= 1)).all()
        assert_equal(likelihoods[:, column].sum(), torch.ones(()))


# --- autoregressive models --------------------------------------------------------------------------------------------


def test_no_logit_sees_its_own_or_a_later_symbol(
    autoregressive: type[Autoregressive], build_stirred: Build, problems: Problems, spec: SequenceSpec
) -> None:
    model = build_stirred(autoregressive)
    prompt, answer = problems(12).prompt, problems(12).answer
    logits = model.logits(prompt, answer)
    assert contract.columns_that_see_ahead(model, problems(12), range(spec.answer_width), 1e-9) == []
    for column in range(spec.answer_width):
        changed = torch.cat([answer[:, :column], 4 + (answer[:, column:] + 1) % 10], dim=1)
        later = slice(column + 1, None)
        assert (model.logits(prompt, changed)[:, later] != logits[:, later]).any(dim=-1).all(), "sees no symbol at all"


def test_generate_is_the_argmax_of_logits(
    autoregressive: type[Autoregressive],
    build_stirred: Build,
    build_learnt: Build,
    problems: Problems,
    spec: SequenceSpec,
) -> None:
    prompt = problems(64, 1).prompt
    for model in (build_learnt(autoregressive), build_stirred(autoregressive)):
        answers = model.generate(prompt, spec.answer_width)
        best = model.logits(prompt, answers).argmax(dim=-1)
        ended_before = (answers == spec.eos).cumsum(dim=1) - (answers == spec.eos).long()
        assert torch.equal(answers, best.masked_fill(ended_before > 0, spec.pad))
        for width in (1, spec.answer_width - 2):
            assert torch.equal(model.generate(prompt, width), answers[:, :width])


def test_likelihoods_of_an_answer_multiply_to_what_the_loss_says(
    autoregressive: type[Autoregressive], build_stirred: Build, problems: Problems, spec: SequenceSpec
) -> None:
    model, batch = build_stirred(autoregressive), problems(12)
    likelihoods = model.likelihoods(batch.prompt, batch.answer)
    nll_sum = -likelihoods[batch.answer != spec.pad].log().sum()
    assert_equal(nll_sum, model.loss(batch, torch.Generator().manual_seed(0)).nll_sum.detach())


def test_each_step_of_decoding_equals_the_naive_one(
    autoregressive: type[Autoregressive], build_stirred: Build, problems: Problems, spec: SequenceSpec
) -> None:
    model = build_stirred(autoregressive)
    batch = problems(12)
    with torch.no_grad():
        fast, fast_state = model.begin(batch.prompt, spec.answer_width)
        naive, naive_state = Autoregressive.begin(model, batch.prompt, spec.answer_width)
        assert_equal(fast, naive)
        for symbol in batch.answer[:, :-1].unbind(1):
            fast, fast_state = model.advance(symbol, fast_state)
            naive, naive_state = Autoregressive.advance(model, symbol, naive_state)
            assert_equal(fast, naive)


def test_rows_that_stay_keep_their_state(
    autoregressive: type[Autoregressive], build_stirred: Build, problems: Problems, spec: SequenceSpec
) -> None:
    model, batch = build_stirred(autoregressive), problems(12)
    rows = torch.tensor([7, 0, 11])
    with torch.no_grad():
        _, state = model.begin(batch.prompt, spec.answer_width)
        _, state = model.advance(batch.answer[:, 0], state)
        kept, _ = model.advance(batch.answer[rows, 1], model.keep(rows, state))
        every, _ = model.advance(batch.answer[:, 1], state)
    assert_equal(kept, every[rows])


def test_answers_that_have_ended_leave_the_batch(
    autoregressive: type[Autoregressive],
    build_learnt: Build,
    problems: Problems,
    spec: SequenceSpec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, prompt = build_learnt(autoregressive), problems(64, 1).prompt
    sizes = []
    advance = model.advance

    def counting(symbol: Tensor, state: Any) -> Any:
        sizes.append(len(symbol))
        return advance(symbol, state)

    monkeypatch.setattr(model, "advance", counting)
    answers = model.generate(prompt, spec.answer_width)
    lengths = (answers != spec.pad).sum(dim=1)
    running = [int((lengths > column).sum()) for column in range(1, int(lengths.max()))]
    del sizes[: -len(running)]  # what `begin` itself may read, such as the bos of a decoder
    assert len(sizes) == len(running) > 1
    assert all(run <= size and size - run < max(1, size / 4) for run, size in zip(running, sizes, strict=True))
    assert sizes[-1] < 64


def test_state_of_decoding_has_a_size(
    autoregressive: type[Autoregressive], build: Build, problems: Problems, spec: SequenceSpec
) -> None:
    model = build(autoregressive)
    prompt = problems(1).prompt
    in_float64, in_float32 = model.state_bytes(prompt), model.float().state_bytes(prompt)
    assert 0 < in_float32 <= in_float64 < 1_000_000


def test_loss_is_the_log_likelihood_of_all_symbols_but_pads(
    autoregressive: type[Autoregressive], build_stirred: Build, problems: Problems, spec: SequenceSpec
) -> None:
    model = build_stirred(autoregressive)
    batch = problems(12)
    loss = model.loss(batch, torch.Generator())
    likelihoods = model.logits(batch.prompt, batch.answer).softmax(-1).gather(2, batch.answer[..., None])[..., 0]
    scored = batch.answer != spec.pad
    assert loss.count == scored.sum()
    assert_equal(loss.nll_sum, -likelihoods[scored].log().sum())
    assert_equal(loss.mean, loss.nll_sum / loss.count + loss.auxiliary)


# --- masked models ----------------------------------------------------------------------------------------------------


def naive_mask_predict(model: MaskedInfilling, prompt: Tensor, passes: int) -> Tensor:
    """(P,) -> (A,), one problem and one column after the other, as the paper says."""
    spec, columns = model.spec, model.spec.answer_width
    canvas, likelihood, masked = [spec.mask] * columns, [0.0] * columns, set(range(columns))
    for number in range(passes):
        said = model.logits(prompt[None], torch.tensor([canvas]))[0].softmax(-1)
        for column in masked:
            canvas[column] = int(said[column].argmax())
            likelihood[column] = said[column].max().item()
        again = int(columns * (passes - number - 1) / passes)
        masked = set(sorted(range(columns), key=lambda column: likelihood[column])[:again])
        canvas = [spec.mask if column in masked else symbol for column, symbol in enumerate(canvas)]
    assert not masked
    if spec.eos in canvas:
        end = canvas.index(spec.eos)
        canvas[end + 1 :] = [spec.pad] * (columns - end - 1)
    return torch.tensor(canvas)


@pytest.mark.parametrize("passes", [1, 2, 4, 7, 12])
def test_generate_is_mask_predict(
    masked: type[MaskedInfilling],
    passes: int,
    build_stirred: Build,
    build_learnt: Build,
    problems: Problems,
    spec: SequenceSpec,
) -> None:
    prompt = problems(24, 1).prompt
    for model in (build_stirred(masked, passes=passes), copy.copy(build_learnt(masked))):
        model.config = dataclasses.replace(model.config, passes=passes)
        answers = model.generate(prompt, spec.answer_width)
        naive = torch.stack([naive_mask_predict(model, row, passes) for row in prompt])
        assert torch.equal(answers, naive)
        assert torch.equal(model.generate(prompt, 3), answers[:, :3])


def test_passes_matter(masked: type[MaskedInfilling], build_stirred: Build, problems: Problems) -> None:
    """Else the tests of mask-predict see nothing."""
    prompt = problems(24, 1).prompt
    answers = [build_stirred(masked, passes=passes).generate(prompt, 7) for passes in (1, 4)]
    assert not torch.equal(*answers)


def seen_in_training(model: MaskedInfilling, batch: Batch, rng: torch.Generator, patch: Any) -> tuple[Loss, Tensor]:
    """The loss of a batch, and the canvas (B, A) that it showed the model."""
    canvases = []
    logits = model.logits

    def spy(prompt: Tensor, answer: Tensor) -> Tensor:
        canvases.append(answer)
        return logits(prompt, answer)

    patch.setattr(model, "logits", spy)
    loss = model.loss(batch, rng)
    [canvas] = canvases
    return loss, canvas


def test_loss_is_the_log_likelihood_of_all_masked_columns(
    masked: type[MaskedInfilling],
    build_stirred: Build,
    problems: Problems,
    spec: SequenceSpec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, batch = build_stirred(masked), problems(24)
    loss, canvas = seen_in_training(model, batch, torch.Generator(), monkeypatch)
    hidden = canvas == spec.mask
    assert torch.equal(canvas[~hidden], batch.answer[~hidden])
    assert (batch.answer[hidden] == spec.pad).any(), "pads that are always seen betray how long the answer is"
    likelihoods = model.logits(batch.prompt, canvas).softmax(-1).gather(2, batch.answer[..., None])[..., 0]
    assert loss.count == hidden.sum()
    assert_equal(loss.nll_sum, -likelihoods[hidden].log().sum())
    assert_equal(loss.mean, loss.nll_sum / loss.count + loss.auxiliary)


def test_each_number_of_masks_is_as_likely_and_so_is_each_column(
    masked: type[MaskedInfilling],
    build: Build,
    problems: Problems,
    spec: SequenceSpec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows, columns = 7_000, spec.answer_width
    batch = Batch(*(ids.expand(rows, -1) for ids in (problems(1).prompt, problems(1).answer)))
    with torch.no_grad():
        _, canvas = seen_in_training(build(masked), batch, torch.Generator().manual_seed(0), monkeypatch)
    hidden = canvas == spec.mask
    sizes = hidden.sum(dim=1).bincount(minlength=columns + 1) / rows
    assert sizes[0] == 0
    assert sizes[1:].tolist() == pytest.approx([1 / columns] * columns, abs=0.02)
    assert hidden.double().mean(dim=0).tolist() == pytest.approx([(columns + 1) / 2 / columns] * columns, abs=0.02)


def test_each_seed_draws_its_own_masks(
    masked: type[MaskedInfilling], build: Build, problems: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, again, other = (
        seen_in_training(build(masked), problems(24), torch.Generator().manual_seed(seed), monkeypatch)[1]
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_masked_column_sees_all_others(
    masked: type[MaskedInfilling], build_stirred: Build, problems: Problems, spec: SequenceSpec
) -> None:
    model, batch = build_stirred(masked), problems(12)
    for column in range(spec.answer_width):
        canvas = batch.answer.clone()
        canvas[:, column] = spec.mask
        logits = model.logits(batch.prompt, canvas)[:, column]
        for other in set(range(spec.answer_width)) - {column}:
            changed = canvas.clone()
            changed[:, other] = 4 + (changed[:, other] + 1) % 10
            assert (model.logits(batch.prompt, changed)[:, column] != logits).any(dim=-1).all()


def test_state_of_mask_predict_is_problem_and_canvas(
    masked: type[MaskedInfilling], build: Build, problems: Problems, spec: SequenceSpec
) -> None:
    ids, likelihoods = spec.prompt_width + spec.answer_width, spec.answer_width
    assert build(masked).float().state_bytes(problems(1).prompt) == 8 * ids + 4 * likelihoods


# --- learning ---------------------------------------------------------------------------------------------------------


def test_a_gradient_reaches_every_parameter(cls: type[Architecture], build_stirred: Build, problems: Problems) -> None:
    model = build_stirred(cls).train()
    model.loss(problems(24), torch.Generator()).mean.backward()
    assert contract.parameters_without_gradient(model) == []


def test_learns_16_problems_by_heart(
    cls: type[Architecture], build_learnt: Build, problems: Problems, spec: SequenceSpec
) -> None:
    batch = problems(16)
    assert torch.equal(build_learnt(cls).generate(batch.prompt, spec.answer_width), batch.answer)


def test_golden_loss_curve(own: type[Architecture], build: Build, problems: Problems) -> None:
    model = build(own).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    curve = []
    for step in range(20):
        loss = model.loss(problems(16, seed=step), torch.Generator().manual_seed(step)).mean
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(loss.item())
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("WRITE_GOLDEN"):
        golden[own.name] = [float(f"{loss:.10g}") for loss in curve]
        lines = [f"{json.dumps(name)}: {json.dumps(losses)}" for name, losses in sorted(golden.items())]
        GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    assert own.name in golden, "no curve yet; on top of this file stands how to write one"
    assert curve == pytest.approx(golden[own.name], rel=1e-6)


def test_bfloat16_comes_close(cls: type[Architecture], build: Build, problems: Problems) -> None:
    model = build(cls).float().train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model.loss(problems(16), torch.Generator())
    loss.mean.backward()
    assert loss.nll_sum.dtype == torch.float32
    assert all(p.grad.isfinite().all() for p in model.parameters())
    assert loss.mean.item() == pytest.approx(model.loss(problems(16), torch.Generator()).mean.item(), rel=0.05)


# --- chance -----------------------------------------------------------------------------------------------------------


def variants(cls: type[Architecture]) -> dict[str, Any]:
    """Changes to the debug config that bring chance into training, where the class knows any."""
    return {"dropout": 0.3} if "dropout" in {field.name for field in dataclasses.fields(cls.Config)} else {}


def test_same_seed_same_loss(cls: type[Architecture], build: Build, problems: Problems) -> None:
    model = build(cls, **variants(cls)).train()
    losses = []
    for global_seed in (0, 1):
        torch.manual_seed(global_seed)
        losses.append(model.loss(problems(16), torch.Generator().manual_seed(7)).nll_sum.item())
    assert losses[0] == losses[1]


def test_loss_leaves_the_global_generator_alone(cls: type[Architecture], build: Build, problems: Problems) -> None:
    model = build(cls, **variants(cls)).train()
    before = torch.get_rng_state()
    model.loss(problems(16), torch.Generator())
    assert torch.equal(torch.get_rng_state(), before)


def test_other_seed_other_dropout(with_dropout: type[Architecture], build: Build, problems: Problems) -> None:
    model = build(with_dropout, dropout=0.3).train()
    rng = torch.Generator().manual_seed(0)
    losses = {model.loss(problems(16), rng).nll_sum.item() for _ in range(5)}
    assert len(losses) == 5


def test_dropout_acts_in_training_only(with_dropout: type[Architecture], build: Build, problems: Problems) -> None:
    batch = problems(16)
    without, model = build(with_dropout, dropout=0.0), build(with_dropout, dropout=0.3)
    logits = without.logits(batch.prompt, batch.answer)
    assert torch.equal(without.train().logits(batch.prompt, batch.answer), logits)
    assert torch.equal(model.logits(batch.prompt, batch.answer), logits)
    assert not torch.equal(model.train().logits(batch.prompt, batch.answer), logits)


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_state_survives_a_file(
    cls: type[Architecture], build: Build, build_stirred: Build, problems: Problems, tmp_path: Path
) -> None:
    model, other = build_stirred(cls), build(cls)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    batch = problems(12)
    assert torch.equal(other.logits(batch.prompt, batch.answer), model.logits(batch.prompt, batch.answer))


def test_a_model_can_be_copied_in_the_midst_of_training(
    cls: type[Architecture], build_stirred: Build, problems: Problems
) -> None:
    model, batch = build_stirred(cls).train(), problems(12)
    model.loss(batch, torch.Generator()).mean.backward()
    twin = copy.deepcopy(model)
    assert torch.equal(twin.eval().logits(batch.prompt, batch.answer), model.eval().logits(batch.prompt, batch.answer))


# --- what a class states about itself ---------------------------------------------------------------------------------


def test_class_is_described(cls: type[Architecture]) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", cls.name)
    assert cls.family
    assert (cls.kind == "masked") == issubclass(cls, MaskedInfilling)
    assert cls.paper.endswith(f", {cls.year}")
    assert inspect.getdoc(inspect.getmodule(cls))


def test_config_is_frozen_and_keyword_only(cls: type[Architecture]) -> None:
    assert issubclass(cls.Config, Config)
    assert all(field.kw_only for field in dataclasses.fields(cls.Config))
    assert all(field.default is not dataclasses.MISSING for field in dataclasses.fields(cls.Config))
    config = cls.Config()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, config.size_fields[0], 1)


def test_each_field_of_the_config_is_explained(cls: type[Architecture]) -> None:
    explained = set()
    for base in cls.Config.__mro__[:-1]:
        [definition] = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        for statement, after in pairwise(definition.body):
            match statement, after:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str())):
                    explained.add(name)
    assert {field.name for field in dataclasses.fields(cls.Config)} - explained == set()


def test_all_that_is_searched_can_be_built(cls: type[Architecture], build: Build) -> None:
    names = {field.name for field in dataclasses.fields(cls.Config)}
    assert cls.Config.depth_field in names or cls.Config.depth_field == Config.depth_field  # a plug-in may have none
    assert len(cls.Config.search) <= 6
    assert cls.Config.published.keys() <= names
    assert cls.Config.search.keys() <= names - {cls.Config.depth_field, *cls.Config.size_fields}
    width = cls.Config.size_fields[0]
    for name, choices in cls.Config.search.items():
        assert getattr(cls.Config(), name) in choices
        for choice in choices:
            step = dataclasses.replace(cls.Config(**cls.debug), **{name: choice}).size_step
            build(cls, **{name: choice, width: 2 * step})


# --- sizes ------------------------------------------------------------------------------------------------------------


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_debug_model_is_small_and_nothing_is_hidden(cls: type[Architecture], build: Build) -> None:
    model = build(cls).float()
    assert 100 < count(model) < 10_000
    assert 0 < model.active_parameters() <= count(model)
    assert 0 < model.weight_bits <= 32


def test_both_size_fields_grow_the_model(cls: type[Architecture], build: Build) -> None:
    first, second = cls.Config.size_fields
    step = cls.Config(**cls.debug).size_step
    assert cls.debug[first] % step == 0
    widths = [count(build(cls, **{first: cls.debug[first] + n * step})) for n in range(4)]
    rests = [count(build(cls, **{second: n})) for n in range(8, 12)]
    assert widths == sorted(set(widths))
    assert rests == sorted(set(rests))
    assert rests[1] - rests[0] < widths[1] - widths[0], "the second size field is the one for small steps"


def test_nothing_is_allocated_on_the_meta_device(cls: type[Architecture], build: Build) -> None:
    with torch.device("meta"):
        model = build(cls)
    assert all(tensor.is_meta for tensor in model.state_dict().values())
    assert count(model) == count(build(cls))


def test_parameter_groups_take_each_parameter_once(cls: type[Architecture], build: Build) -> None:
    model = build(cls)
    groups = list(model.parameter_groups())
    assert sorted(name for name, *_ in groups) == sorted(dict(model.named_parameters()))
    assert len({id(parameter) for _, parameter, _, _ in groups}) == len(groups)
    for name, parameter, is_matrix, stacked in groups:
        assert parameter is model.get_parameter(name)
        assert not is_matrix or parameter.ndim == 2
        assert len(parameter) % stacked == 0
        assert is_matrix or stacked == 1
    inner = {name for name, _, is_matrix, _ in groups if is_matrix}
    outer_modules = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    outer = {id(p) for module in outer_modules for p in module.parameters()} | {id(p) for p in model.head_parameters()}
    assert inner, "no inner matrix at all"
    assert not {id(model.get_parameter(name)) for name in inner} & outer


def test_each_pattern_of_stacked_matrices_names_some(cls: type[Architecture], build: Build) -> None:
    """In a model with some of the options that there are to choose."""
    options = [{}, *({name: choice} for name, choices in cls.Config.search.items() for choice in choices)]
    width = cls.Config.size_fields[0]
    names = set()
    for option in options:
        step = dataclasses.replace(cls.Config(**cls.debug), **option).size_step
        names |= {name for name, _, inner, _ in build(cls, **option, **{width: 4 * step}).parameter_groups() if inner}
    assert [pattern for pattern in cls.stacked if not any(fnmatchcase(name, pattern) for name in names)] == []
