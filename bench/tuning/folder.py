"""The folder of a search: what may be added to it, and its files tune.json and tune.toml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import architectures, machine
from bench.errors import UserError, user_errors
from bench.planning.settings import Tuned, field_names
from bench.results.files import BadFile, read_checked_json, verify_checksum, write_checked_json, write_text
from bench.results.records.search import BEST, SEARCH
from bench.running.run_folder import holds, make_folder, refuse_other_settings
from bench.tuning.space import as_plain, lies_within
from bench.tuning.trials import all_trials, best_of, ranked

if TYPE_CHECKING:
    from optuna.storages import JournalStorage

    from bench.tuning.search import Search

SCHEMA = 6
"""Version of tune.json, and of the space, sampler and pruner."""


def take_folder(search: Search, directory: Path) -> None:
    """Make the folder of a search, or check that it is one of the same search.

    Raises:
        UserError: the folder cannot be written, is no search's, or differs in more than architectures and trials.
    """
    if not holds(directory, SEARCH):
        make_folder(directory)
        about = {"versions": machine.versions(), "machine": machine.description(), "git": machine.git_state()}
        head = {"schema": SCHEMA, "command": search.command, "settings": search.settings(), "architectures": {}}
        write_checked_json(directory / SEARCH, head | about)
        return
    there = _read(directory)
    theirs = {"schema": there.get("schema"), **there.get("settings", {})}
    refuse_other_settings(directory, "search", theirs, {"schema": SCHEMA, **search.settings()}, more="trials")


def _read(directory: Path) -> dict[str, Any]:
    """What tune.json says, without its checksum. Raises UserError where it was changed."""
    path, remedy = directory / SEARCH, "restore it, or choose another folder"
    with user_errors(BadFile):
        return verify_checksum(path, read_checked_json(path, remedy), remedy)


def write_spaces(search: Search, directory: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Write into tune.json what is drawn from now on, and what the papers have. Returns the spaces of all architectures
    in the folder, plain.

    Raises:
        UserError: an architecture has trials there of values that it would not draw now.
    """
    there = _read(directory)
    for cls in search.classes:
        space, config = as_plain(search.spaces[cls.name]), cls.Config()
        before = there["architectures"].get(cls.name)
        if before is not None and not lies_within(before["space"], space):
            raise UserError(
                f"--out {directory}: holds trials of {cls.name} drawn from choices that it does not have now; choose "
                f"another folder"
            )
        paper = {name: cls.Config.published.get(name, getattr(config, name)) for name in cls.Config.search}
        there["architectures"][cls.name] = {"space": space, "paper": paper}
    write_checked_json(directory / SEARCH, there)
    return {name: about["space"] for name, about in there["architectures"].items()}


def write_best(search: Search, storage: JournalStorage, directory: Path) -> None:
    """tune.toml: the best settings, in full, of each architecture that has had all trials and finals: for `run`."""
    settings = search.shared.settings.model_dump()
    own = {"budget": str(search.for_budget), "trials": search.trials, "trial_budget": settings["budget"]}
    seeds = search.final_seeds if search.finalists else None
    header = settings | own | {"finalists": search.finalists or None, "final_seeds": seeds}
    tables = {"tuned": {key: header[key] for key in field_names(Tuned) if header[key] is not None}}
    known = architectures.all_architectures()
    for name, trials in all_trials(storage).items():
        if name not in known:
            continue
        best = best_of(trials, known[name].Config.depth_field)
        finals = sum(trial.stage == "final" for trial in trials)
        asked = min(search.finalists, len(ranked(trials))) * search.final_seeds
        whole = len(trials) - finals == search.trials and finals == asked
        if best is not None and whole:
            planned = search.shared.architecture(known[name], best.settings, "best")
            size_fields = known[name].Config.size_fields  # the size is fitted anew by whoever takes the file
            tables[name] = planned.training | {k: v for k, v in planned.config.items() if k not in size_fields}
    text = "# The best settings of a search; `python -m bench run --set-file` takes this file.\n"
    for name, table in tables.items():
        lines = [f"{key} = {_as_toml(value)}" for key, value in table.items()]
        text += "\n".join(["", f"[{name}]", *lines, ""])
    write_text(directory / BEST, text)


def _as_toml(value: Any) -> str:
    """A plain value as TOML; there is no null, and `none` is what settings take for it."""
    return '"none"' if value is None else json.dumps(value, ensure_ascii=False)
