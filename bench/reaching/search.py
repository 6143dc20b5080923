"""The search of `reach`: which number of digits comes next, and the runs in which it is tried."""

import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import architectures
from bench.datasets.growing import NAMES, growing_suite
from bench.datasets.suites import MOST_DIGITS
from bench.errors import UserError, user_errors
from bench.locks import RUN_LOCK, holding
from bench.planning.amounts import parse_budget, parse_count, parse_names, seed_list
from bench.planning.contract import refuse_broken
from bench.planning.decide import cells_at_once, decide, device_called
from bench.planning.options import ReachOptions, RunOptions, command_of
from bench.planning.settings import field_names
from bench.plugins import load_plugins
from bench.results.files import BadFile, write_text
from bench.results.records.plan import Plan
from bench.results.records.reach import REACH, read_reach, run_directory, write_reach
from bench.results.statistics.reach import FIRST, Trial, next_digits, read_trials, states_of
from bench.running.engine import Place, Watcher, run_plans
from bench.running.run_folder import holds, make_folder, occupied, refuse_other_settings


@dataclass(frozen=True)
class ReachSearch:
    """A search that is decided: what is asked of whom, and where it is kept."""

    options: ReachOptions
    names: list[str]
    directory: Path

    @property
    def shared(self) -> dict[str, Any]:
        """What all trials of a folder have in common."""
        options = self.options
        return {
            "operation": options.operation,
            "workings": options.workings,
            "budget": str(parse_budget(options.budget)),
            "parameters": parse_count(options.params, "--params"),
            "seeds": options.seeds,
        }

    def states(self, name: str, trials: list[Trial]) -> dict[int, Any]:
        """Digits -> what came of them, of one architecture."""
        return states_of((trial for trial in trials if trial.architecture == name), self.options.seeds)

    def next_of(self, name: str, trials: list[Trial]) -> int | None:
        """How many digits an architecture tries next; None where it has ended."""
        states = self.states(name, trials)
        digits = next_digits(states, self.options.most)
        ended = sum(state != "open" for state in states.values()) >= self.options.tries
        return None if ended else digits

    def plan(self, name: str, digits: int, seeds: int) -> tuple[Plan, Path]:
        """The run in which an architecture is asked about so many digits, with so many seeds, and its folder.

        Raises UserError as `decide`.
        """
        options, shared = self.options, self.shared
        folder = run_directory(self.directory, name, digits)
        suite = self.directory / "suites" / f"{NAMES[options.operation]}-{digits}.toml"
        content = growing_suite(options.operation, digits, options.workings, shared["budget"], shared["parameters"])
        if not suite.exists() or suite.read_text(encoding="utf-8") != content:
            write_text(suite, content)
        common = {key: getattr(options, key) for key in field_names(ReachOptions) if key in field_names(RunOptions)}
        chosen = RunOptions(
            **common | {"arch": name, "suite": str(suite), "seeds": seed_list(range(seeds)), "out": folder}
        )
        return decide(chosen, command_of(chosen)), folder


def decide_reach(options: ReachOptions) -> ReachSearch:
    """Check all options; nothing is written.

    Raises:
        UserError: an option cannot be, or the folder holds another search.
    """
    load_plugins(options.plugin)
    for flag, value, least, most in (
        ("--seeds", options.seeds, 1, 100),
        ("--most", options.most, FIRST, MOST_DIGITS),
        ("--tries", options.tries, 1, MOST_DIGITS),
    ):
        if not least <= value <= most:
            raise UserError(f"{flag} {value}: expected {least} to {most}")
    with user_errors():
        known = architectures.from_scratch()
        names = list(known) if options.arch == "all" else list(parse_names(options.arch, "--arch"))
        for name in names:
            if name not in known:
                architectures.get(name)
                raise ValueError(f"--arch {name}: reach trains models that start from random weights; leave it out")
    search = ReachSearch(options, names, Path())
    digest = hashlib.sha256(json.dumps(search.shared, sort_keys=True).encode()).hexdigest()
    directory = options.out or Path("reach") / f"{NAMES[options.operation]}-{digest[:10]}"
    with user_errors(BadFile):
        if holds(directory, REACH):
            refuse_other_settings(directory, "search", read_reach(directory), search.shared, more="digits")
    return replace(search, directory=directory)


def run_reach(search: ReachSearch, watch: Callable[[int], Watcher]) -> list[Trial]:
    """Try digits until the reach of every architecture is known; all trials.

    In each round every architecture whose reach is not known yet trains a seed, or several where cores are left. The
    seeds of one number of digits end with the first that misses it. watch: digits -> who follows such a trial.

    Raises:
        Interrupted: by the user; cells that ended are kept, and what the others have learnt.
        UserError: another process searches here, or an option cannot be.
    """
    make_folder(search.directory)
    advice = "searches here; wait for it or end it first"
    lock = holding(
        search.directory / RUN_LOCK,
        sign=True,
        refusal=lambda other: f"--out {search.directory}: {other} {advice}",
    )
    tried: set[str] = set()
    with lock, user_errors(BadFile):
        write_reach(search.directory, search.shared)
        while True:
            trials = read_trials(search.directory)
            following = {name: search.next_of(name, trials) for name in search.names}
            asked = {name: digits for name, digits in following.items() if digits is not None}
            if not asked:
                return trials
            at_once = _at_once(search.options)
            with ExitStack() as folders:
                places = []
                for name, digits in asked.items():
                    done = sum((trial.architecture, trial.digits) == (name, digits) for trial in trials)
                    seeds = min(search.options.seeds, done + max(1, at_once // len(asked)))
                    plan, folder = search.plan(name, digits, seeds)
                    if name not in tried:
                        refuse_broken(plan, [name])
                        tried.add(name)
                    folders.enter_context(occupied(plan, folder, join=False))
                    places.append(Place(plan, folder, watch(digits)))
                run_plans(places, at_once=at_once)


def _at_once(options: ReachOptions) -> int:
    """As of a run with these options."""
    common = {key: getattr(options, key) for key in ("arch", "device", "threads", "cells_at_once")}
    return cells_at_once(RunOptions(**common), device_called(options.device), parse_budget(options.budget))
