"""The folder of a run: made, or taken over where the plan agrees with the one that lies there."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

from bench.errors import UserError, user_errors
from bench.locks import RUN_LOCK, holding, writing_tables
from bench.planning.amounts import seed_list
from bench.results.files import BadFile
from bench.results.records.plan import PLAN, Plan, write_plan
from bench.results.records.run import open_run

MOST_NAMED = 5
"""Settings that differ, in one message."""


@contextmanager
def occupied(plan: Plan, directory: Path, join: bool) -> Iterator[None]:
    """A context in which the folder holds the plan, and this process alone runs it, or is one of those that `join`.

    Raises:
        UserError: as `take_folder`, or another process runs a plan in this folder.
    """
    refuse_difference(plan, directory)  # before a lock is left in a folder that is no run's
    make_folder(directory)
    advice = "wait for it or end it, or add --join to take cells that it does not"
    lock = holding(
        directory / RUN_LOCK, sign=True, refusal=lambda holder: f"--out {directory}: {holder} runs here; {advice}"
    )
    with nullcontext() if join else lock:
        take_folder(plan, directory)
        yield


def take_folder(plan: Plan, directory: Path) -> None:
    """Write run.json, joined with what a run in this folder had planned before.

    Raises:
        UserError: the folder cannot be written, is not a run's, or holds a run that differs in more than architectures
            and seeds.
    """
    make_folder(directory)
    with writing_tables(directory):
        before = refuse_difference(plan, directory)
        if before is None:
            write_plan(directory, plan)
        elif not set(plan.cells) <= set(before.cells):
            write_plan(directory, _joined(before, plan))


def _joined(before: Plan, plan: Plan) -> Plan:
    """One plan of all architectures and seeds of two that agree in everything else."""
    architectures = list(dict.fromkeys([*before.architectures, *plan.architectures]))
    seeds = sorted({*before.seeds, *plan.seeds})
    joined = plan.model_copy(
        update={
            "architectures": architectures,
            "seeds": seeds,
            "entries": before.entries | plan.entries,
            "plugins": list(dict.fromkeys([*before.plugins, *plan.plugins])),
            "command": _for_all(before.command, plan.command, architectures, seeds),
            "git": _both(before.git, plan.git),
        }
    )
    return joined.model_copy(update={"plan_hash": joined.recomputed_hash()})


def _for_all(before: str, command: str, architectures: list[str], seeds: list[int]) -> str:
    """What runs every cell of a joined plan: one command where the two differ in architectures and seeds alone, which
    then names all of them, or else one after the other, each with all seeds.
    """
    all_seeds = seed_list(seeds)
    kept = _without(shlex.split(command), "--arch", "--seeds")
    if _without(shlex.split(before), "--arch", "--seeds") == kept:
        return shlex.join([*kept, "--arch", ",".join(architectures), "--seeds", all_seeds])
    commands: list[list[str]] = [[]]
    for word in [*shlex.split(before), "&&", *shlex.split(command)]:
        if word == "&&":
            commands.append([])
        else:
            commands[-1].append(word)
    return " && ".join(shlex.join([*_without(words, "--seeds"), "--seeds", all_seeds]) for words in commands)


def _both(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The commits that the cells of a joined plan may be of."""
    states = [state for state in (before, now) if state]
    commits = dict.fromkeys(commit for state in states for commit in str(state.get("commit")).split(" and "))
    return {"commit": " and ".join(commits), "dirty": any(state.get("dirty") for state in states)} if states else {}


def _without(command: list[str], *options: str) -> list[str]:
    """The words of a command but some options and their values."""
    words = iter(command)
    kept = []
    for word in words:
        if word in options:
            next(words)  # its value
        elif not word.startswith(tuple(f"{option}=" for option in options)):
            kept.append(word)
    return kept


def refuse_difference(plan: Plan, directory: Path) -> Plan | None:
    """The plan that lies in the folder already, None where there is none.

    Raises:
        UserError: the folder holds something else, a run that differs in more than architectures and seeds, or a cell
            with a broken file.
    """
    if not holds(directory, PLAN):
        return None
    with user_errors(BadFile):
        run = open_run(directory)
    before = run.plan
    theirs, mine = before.settings.model_dump(), plan.settings.model_dump()
    if before.suite.content != plan.suite.content:
        del theirs["suite_hash"], mine["suite_hash"]  # which follows from the content
        if before.suite.name == plan.suite.name:
            theirs["suite"], mine["suite"] = before.suite.content, plan.suite.content
    refuse_other_settings(directory, "run", theirs, mine, more="seeds")
    if not before.counts_optimizer:
        raise UserError(f"--out {directory}: holds a run without the FLOPs of its optimizers: choose another folder")
    for name in plan.entries.keys() & before.entries.keys():
        recorded = before.entries[name].plugin_hash
        if recorded != plan.entries[name].plugin_hash:
            what = "was changed since this run" if recorded else "may be another: this run did not record its source"
            raise UserError(f"--out {directory}: the plug-in {name} {what}; give another --out, or restore it")
        entries = before.entries[name].model_dump(), plan.entries[name].model_dump()
        asked = [{**entry["config"], **entry["training"]} for entry in entries]  # all else follows, but for presets
        if found := differences(*asked) or differences(*entries):
            raise UserError(f"--out {directory}: holds {name} with {found}: choose another folder")
    for broken in run.broken.values():  # whatever is done here, its figures would be in no table
        raise UserError(str(broken))
    return before


def holds(directory: Path, file: str) -> bool:
    """Whether a folder holds this file. Raises UserError where it holds other files without it."""
    there = (directory / file).exists()
    if not there and directory.exists() and (not directory.is_dir() or any(directory.glob("[!.]*"))):
        raise UserError(f"--out {directory}: is there and holds no {file}; choose an empty or a new folder")
    return there


def refuse_other_settings(
    directory: Path, kind: str, theirs: dict[str, Any], mine: dict[str, Any], more: Literal["seeds", "trials", "digits"]
) -> None:
    """Raises UserError where a folder holds a run or a search under other settings than mine."""
    theirs = {key: theirs.get(key) for key in mine}
    if found := differences(theirs, mine):
        raise UserError(
            f"--out {directory}: holds a {kind} with {found}; only architectures and {more} may be added to a folder: "
            f"choose another one"
        )


def differences(theirs: dict[str, Any], mine: dict[str, Any]) -> str:
    """'lr 0.02, not 0.5; batch 64, not 128': the keys whose values differ, those of dictionaries within them too."""
    found, pairs = [], [(key, theirs.get(key), mine.get(key)) for key in dict.fromkeys([*mine, *theirs])]
    while pairs:
        key, their, my = pairs.pop(0)
        if isinstance(their, dict) and isinstance(my, dict):
            pairs[:0] = [(f"{key} {inner}", their.get(inner), my.get(inner)) for inner in dict.fromkeys([*my, *their])]
        elif their != my:
            found.append(f"{key.replace('_', ' ')} {their}, not {my}")
    more = [f"{len(found) - MOST_NAMED} more"] if len(found) > MOST_NAMED else []
    return "; ".join(found[:MOST_NAMED] + more)


def make_folder(directory: Path) -> None:
    """Raises UserError where the folder cannot be made or written to."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {directory}: cannot be made: {error.strerror}") from None
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UserError(f"--out {directory}: cannot be written to; choose another folder")
