"""Exported folders: loaded where this project is not, they answer as the models do here, to the last token."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copytree
from types import ModuleType
from typing import Any

import elsewhere
import pytest
import torch
from calling import call
from mutations import last_byte_changed
from safetensors.torch import load_file, save_file
from stranger import unknown_plugin
from tiny import suite_of

from bench import architectures
from bench.architectures import Architecture, Autoregressive, Batch, MaskedInfilling
from bench.asking.models import TrainedModel, trained_models
from bench.datasets.drawing.stream import Stream
from bench.datasets.suites import Suite
from bench.errors import UserError
from bench.plan import sequence_spec
from bench.results.files import sha256_of
from bench.results.records.plan import write_plan
from bench.results.records.predictions import PREDICTIONS, write_predictions
from bench.results.records.record import RECORD, WEIGHTS, write_record
from bench.results.records.run import cell_directory, open_run
from bench.sharing import exporting
from bench.sharing.exporting import auto_class, chosen_model, export, sources

PROBLEMS = 400
GENERATED = 25
"""Of these, so many are also answered by transformers' own `generate`, which is slow."""


FORMS: dict[str, dict[str, Any]] = {
    "plain": {"answer": "plain"},
    "digit-chunks": {"tokenizer": "digit-chunks"},
    "latex": {"notation": "latex"},
    "scratchpad": {"workings": "scratchpad"},
    "byte-pair": {"notation": "latex", "workings": "scratchpad", "tokenizer": "byte-pair", "vocabulary": 48},
}
"""Of a suite with products of one and two digits; the tiny suite has characters and reversed answers."""


def exportable() -> dict[str, type[Architecture]]:
    """All registered architectures, but for one that answers in tokens of its own."""
    kinds = Autoregressive | MaskedInfilling
    return {name: cls for name, cls in architectures.all_architectures().items() if issubclass(cls, kinds)}


def drawn_model(name: str, suite: Suite) -> Architecture:
    """A model whose matrices are drawn at random: trained for a second, it would answer everything alike."""
    cls = architectures.get(name)
    torch.manual_seed(1)
    model = cls(cls.Config(**cls.debug), sequence_spec(suite))
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter)
    return model.eval()


def in_forms(all_run: Path) -> Iterator[TrainedModel]:
    """A transformer in each text form."""
    [like] = trained_models(all_run, ("transformer",))
    for name, form in FORMS.items():
        suite = suite_of(form, name=name)
        yield replace(like, suite=suite, model=drawn_model("transformer", suite))


def run_of_all(trained_run: Path, directory: Path) -> Path:
    """A run of all registered architectures at tiny size, its weights drawn at random. All else of its cells is another
    model's, with every third answer called right.
    """
    run = open_run(trained_run)
    like = run.records[0]
    predictions = run.predictions(like)
    predictions.loc[::3, "right"] = 1
    correct = int(predictions.loc[predictions["split"] == "test", "right"].sum())
    assert like.total is not None
    suite = trained_models(trained_run, ("lstm",), "lowest")[0].suite
    known = exportable()
    directory.mkdir()
    entries = {}
    for name, cls in known.items():
        cell = cell_directory(directory, name, 0)
        copytree(cell_directory(trained_run, like.architecture, like.seed), cell)
        (cell / RECORD).unlink()
        model = drawn_model(name, suite)
        save_file({key: tensor.contiguous() for key, tensor in model.state_dict().items()}, cell / WEIGHTS)
        config = {field: getattr(model.config, field) for field in cls.debug}
        write_predictions(cell, predictions)
        files = like.files | {file: sha256_of(cell / file) for file in (WEIGHTS, PREDICTIONS)}
        scored = replace(like, correct=correct, exact_match=correct / like.total)
        write_record(cell, replace(scored, architecture=name, config=config, files=files))
        entries[name] = run.plan.entries[like.architecture].model_copy(update={"config": config})
    write_plan(directory, run.plan.model_copy(update={"architectures": list(known), "seeds": [0], "entries": entries}))
    return directory


@dataclass(frozen=True)
class Exported:
    trained: TrainedModel
    folder: Path
    texts: list[str]
    prompts: Any
    labels: Any
    result: dict[str, Any]
    """what `elsewhere` saw"""


@pytest.fixture(scope="module")
def plugin() -> Iterator[ModuleType]:
    """An architecture from outside the project, for as long as this module is tested."""
    with unknown_plugin() as name:
        architectures.load_plugin(name)
        yield sys.modules[name]


@pytest.fixture(scope="module")
def all_run(trained_run: Path, plugin: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_of_all(trained_run, tmp_path_factory.mktemp("all") / "run")


@pytest.fixture(scope="module")
def exported(all_run: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Exported]:
    """Every architecture's folder, loaded in one process that has nothing of this project."""
    directory = tmp_path_factory.mktemp("exported")
    run, found, tasks = open_run(all_run), [], []
    for trained in (*trained_models(all_run), *in_forms(all_run)):
        folder = directory / f"{trained.architecture}-{trained.suite.name}"
        export(trained, run, folder)
        encoding = trained.suite.encoding
        problems = Stream(trained.suite.stream(3, None), encoding).take(PROBLEMS)
        prompts, labels = problems.prompt, problems.answer
        texts = [encoding.tokenizer.decode(row[row > 0]) for row in prompts]
        found.append(Exported(trained, folder, texts, prompts, labels, {}))
        auto = auto_class(type(trained.model))
        ids = {"prompts": prompts.tolist(), "labels": labels.tolist()}
        tasks.append({"folder": str(folder), "auto": auto, "texts": texts, "generate": GENERATED} | ids)
    (directory / "tasks.json").write_text(json.dumps(tasks), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-I", elsewhere.__file__, str(directory / "tasks.json")],
        env=environment | {"HF_HOME": str(directory / "home")},
        cwd=directory,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [replace(one, result=result) for one, result in zip(found, json.loads(done.stdout), strict=True)]


def test_exported_models_answer_elsewhere_as_here(exported: list[Exported]) -> None:
    assert {one.trained.architecture for one in exported} == set(exportable())
    assert len(exportable()) >= 16
    for one in exported:
        model, name, form = one.trained.model, one.folder.name, one.trained.suite.encoding.form
        with torch.no_grad():
            parts = [model.generate(rows, model.spec.answer_width) for rows in torch.from_numpy(one.prompts).split(512)]
        answers = torch.cat(parts).tolist()
        assert len(set(map(tuple, answers))) > 20, f"{name}: answers everything alike, which tests nothing"
        assert one.result["answers"] == answers, name
        if "generated" in one.result:  # cut off where the longest answer ends
            width = len(answers[0])
            generated = [row + [0] * (width - len(row)) for row in one.result["generated"]]
            assert generated == answers[: len(generated)], name
            assert one.result["longest"] == width, name  # though it was asked for 50 symbols and no end token
        assert one.result["said_alone"] == one.result["said"][0]
        raw = [one.trained.suite.encoding.tokenizer.decode(row) for row in answers]
        assert one.result["said"] == [form.as_read("".join(form.answer_symbols(text))) for text in raw], name


def test_exported_models_have_the_loss_of_the_models_here(exported: list[Exported]) -> None:
    for one in exported:
        model, prompt, answer = one.trained.model, torch.from_numpy(one.prompts), torch.from_numpy(one.labels)
        with torch.no_grad():
            if isinstance(model, Autoregressive):
                loss = model.loss(Batch(prompt, answer), torch.Generator())
                mean = loss.nll_sum / loss.count
            else:
                logits = model.logits(prompt, torch.full_like(answer, model.spec.mask))
                mean = torch.nn.functional.cross_entropy(logits.flatten(0, 1), answer.flatten())
        losses = one.result["losses"]
        assert losses == pytest.approx([mean.item()] * len(losses), rel=1e-4), one.folder.name


def test_labels_with_a_gap_are_refused(exported: list[Exported]) -> None:
    gaps = {one.trained.architecture: one.result["gap"] for one in exported if "gap" in one.result}
    assert set(gaps) == {"encoder-decoder", "lstm-seq2seq"}
    assert all(said.startswith("a pad or a label of -100 before a symbol") for said in gaps.values())


def test_prompts_that_cannot_be_asked_are_refused(exported: list[Exported]) -> None:
    for one in exported:
        unknown, too_wide = one.result["refused"]
        end = " =" if one.trained.suite.name in ("latex", "byte-pair") else "="
        assert unknown == f"ValueError: '1+1?{end}' has symbols that the model does not know: '?'"
        assert too_wide.startswith("ValueError: a prompt of ")


def test_prompts_without_a_canvas_are_refused_by_what_fills_one_in(exported: list[Exported]) -> None:
    said = [one.result["without_canvas"] for one in exported if "without_canvas" in one.result]
    assert len(said) == 1
    assert said[0].startswith("input_ids of 1 columns: expected prompts and behind each a canvas of ")


def test_each_is_loaded_by_the_class_of_its_kind(exported: list[Exported]) -> None:
    by_class: dict[str, set[str]] = {}
    for one in exported:
        by_class.setdefault(auto_class(type(one.trained.model)), set()).add(one.trained.architecture)
        assert ("generated" in one.result) == (auto_class(type(one.trained.model)) != "AutoModel")
    assert by_class["AutoModel"] == {"masked-encoder"}
    assert by_class["AutoModelForSeq2SeqLM"] == {"encoder-decoder", "lstm-seq2seq"}
    assert {"transformer", "lstm", "tiny-gru"} < by_class["AutoModelForCausalLM"]


def test_the_tokenizer_writes_the_prompts_that_were_trained_on(exported: list[Exported]) -> None:
    for one in exported:
        assert one.result["ids"] == one.prompts.tolist()


def test_the_example_of_the_model_card_prints_what_it_says(exported: list[Exported]) -> None:
    for one in exported:
        assert one.result["card"] == one.result["card_says"], one.folder.name
        assert one.result["card"].strip()


def test_the_card_holds_the_figures_of_the_run(exported: list[Exported], all_run: Path) -> None:
    [one] = [one for one in exported if one.trained.architecture == "lstm"]
    card, record, plan = (one.folder / "README.md").read_text(), one.trained.record, open_run(all_run).plan
    assert record.exact_match is not None
    assert f"| all | {record.total:,} | {100 * record.exact_match:.1f} " in card
    assert record.correct
    predictions = open_run(all_run).predictions(record)
    asked = predictions[predictions["split"] == "test"]
    for column, kind in (("op", "operation"), ("digits", "digits"), ("signs", "signs")):
        for value, rows in asked.groupby(column):
            shown = f"| {kind} {value} | {len(rows):,} | {100 * rows['right'].mean():.1f} "
            assert shown in card.replace("\\", ""), shown
    for fact in (record.data_hash, record.test_hash, plan.command, f"{record.parameters:,} parameters"):
        assert str(fact) in card


def test_the_card_says_that_answers_are_reversed_where_they_are(trained_run: Path) -> None:
    trained, run = chosen_model(trained_run, "lstm", None)
    assert "**The model writes answers in reverse**" in exporting.model_card(trained, run, "AutoModelForCausalLM")
    trained.model.spec = replace(trained.model.spec, reversed=False)
    assert "reverse" not in exporting.model_card(trained, run, "AutoModelForCausalLM")


def test_exported_sources_are_the_projects_own_but_for_their_imports(exported: list[Exported]) -> None:
    home = Path(str(architectures.__path__[0]))
    for one in exported:
        for path in one.folder.glob("*.py"):
            original = home / path.name
            if original.is_file():
                changed = set(path.read_text().splitlines()) - set(original.read_text().splitlines())
                assert all(line.startswith("from .") for line in changed), path


def test_weights_are_those_of_the_run(exported: list[Exported], all_run: Path) -> None:
    for one in exported[: -len(FORMS)]:
        ours = load_file(cell_directory(all_run, one.trained.architecture, 0) / WEIGHTS)
        theirs = load_file(one.folder / WEIGHTS)
        assert (one.folder / WEIGHTS).stat().st_mode == (one.folder / "README.md").stat().st_mode
        assert all(torch.equal(theirs[f"architecture.{name}"], tensor) for name, tensor in ours.items())


def test_nothing_is_overwritten(
    trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("full", "file"):
        status, out, err = call(
            capsys, monkeypatch, "export", str(trained_run), "--arch", "lstm", "--to", str(tmp_path / name)
        )
        assert (status, out) == (2, "")
        assert err.startswith(f"bench: --to {tmp_path / name}: is ")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full", "mine.txt"]
    (tmp_path / "empty").mkdir()
    to = tmp_path / "empty"
    status, out, _ = call(
        capsys, monkeypatch, "export", str(trained_run), "--arch", "lstm", "--seed", "1", "--to", str(to)
    )
    assert status == 0
    assert "AutoModelForCausalLM" in out
    assert "seed 1" in (to / "README.md").read_text()


def test_a_folder_is_there_as_a_whole_or_not_at_all(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "model_card", full)
    trained, run = chosen_model(trained_run, "lstm", None)
    with pytest.raises(OSError, match="No space left"):
        export(trained, run, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_one_line(
    trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    copytree(trained_run, tmp_path / "run")
    weights = cell_directory(tmp_path / "run", "lstm", 1) / WEIGHTS
    weights.write_bytes(last_byte_changed(weights.read_bytes()))
    for arguments, says in (
        (("--arch", "lsmt"), "did you mean 'lstm'"),
        (("--arch", "lstm", "--seed", "7"), "has finished seeds 0, 1"),
        (("--arch", "lstm", "--seed", "1"), "was changed after the run"),
    ):
        command = ("export", str(tmp_path / "run"), *arguments, "--to", str(tmp_path / "new"))
        status, out, err = call(capsys, monkeypatch, *command)
        assert (status, out) == (2, "")
        assert says in err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("import pandas", "imports pandas"),
        ("from bench.datasets import split", "imports bench.datasets"),
        ("import bench.architectures.base", "imports bench.architectures.base"),
        ("from . import helper", r"imports \."),
        ("from bench.architectures import base", "bench.architectures defines no 'base'"),
        ("from bench.architectures import *", r"bench.architectures defines no '\*'"),
        ("import os; from bench.architectures import Config", ".* shares its line"),
        ("from bench.architectures import Config; import os", ".* shares its line"),
    ],
)
def test_a_source_that_needs_more_than_a_folder_holds_is_refused(
    line: str, says: str, plugin: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path(str(plugin.__file__)).read_text()
    monkeypatch.setattr(exporting.inspect, "getsource", lambda module: f"{line}\n{source}")
    with pytest.raises(UserError, match=f"tiny_gru, line 1: {says}"):
        sources(plugin.TinyGRU)


def test_a_form_feed_in_a_source_ends_no_line(plugin: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    source = f'"""One\x0cpage."""\n{Path(str(plugin.__file__)).read_text()}'
    original = exporting.inspect.getsource
    monkeypatch.setattr(exporting.inspect, "getsource", lambda of: source if of is plugin else original(of))
    moved = next(text for text in sources(plugin.TinyGRU).values() if text.startswith('"""One\x0cpage."""\n'))
    assert "from bench" not in moved
    compile(moved, "moved", "exec")


def test_an_architecture_of_another_kind_is_refused() -> None:
    class Other(Architecture):
        name = "other"

    with pytest.raises(UserError, match="--arch other: cannot be exported"):
        auto_class(Other)
