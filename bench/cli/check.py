"""`check`: the plan of a run, with sizes, FLOPs and time; trains nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.planning.options import INLINE, ClusterOptions, RunOptions

if TYPE_CHECKING:
    from bench.results.records.plan import Plan


def check_command(
    options: RunOptions,
    cluster: ClusterOptions = INLINE,
    *,
    workers: str | None = None,
    json: bool = False,
) -> None:
    """Resolve everything and print the plan with parameters, FLOPs and time; train nothing.

    Parameters
    ----------
    workers
        How long it would take on so many workers like this machine, such as 1,8,64, by simulation.
    json
        One JSON document on standard output, with unrounded numbers.
    """
    from bench.planning.words import refuse_wrong_words

    refuse_wrong_words(options)
    from dataclasses import asdict

    from bench.cli.output import console, print_json, print_listing
    from bench.errors import UserError, reason_of
    from bench.planning.amounts import parse_budget, parse_worker_counts, short_count, short_time
    from bench.planning.contract import refuse_broken
    from bench.planning.decide import cells_at_once, decide, default_directory, left_out_lines
    from bench.results.statistics.pretrained import remarks
    from bench.running.cluster import for_cluster
    from bench.running.estimate import schedule, seconds_until_done, training_seconds
    from bench.running.run_folder import refuse_difference

    counts = parse_worker_counts(workers)
    options = for_cluster(options, cluster)
    plan = decide(options, command="check", elsewhere=cluster.engine == "ray")
    settings, budget = plan.settings, parse_budget(plan.budget)
    directory = options.out or default_directory(plan)
    refuse_difference(plan, directory)
    refuse_broken(plan, plan.architectures)
    rows = []
    each: list[float] = []
    for name, planned in plan.entries.items():
        try:
            cell_seconds = training_seconds(plan, name)
        except Exception as error:  # whatever an architecture of somebody else does
            raise UserError(f"{name}: cannot run here: {reason_of(error)}") from error
        each.append(cell_seconds)
        held = planned.active_parameters if settings.match == "active" else planned.parameters
        batch, optimizer_flops = planned.training["batch"], planned.optimizer_flops_per_step or 0
        examples = budget.examples(batch, planned.flops_per_example, optimizer_flops)
        all_flops = planned.flops_per_example + optimizer_flops / batch  # of an example
        row = {
            "architecture": name,
            "parameters": planned.parameters,
            "size": f"{held / settings.parameters - 1:+.2%}" + (" !" if planned.match == "unequal" else ""),
            "FLOPs/example": short_count(planned.flops_per_example),
            "FLOPs/cell": short_count(all_flops * examples) if examples else "-",
            "by optimizer": f"{optimizer_flops / batch / all_flops:.1%}",
            "about": short_time(cell_seconds),
            "tuned for": planned.preset + ("" if planned.tuned else " !") if planned.preset else "nothing !",
        }
        rows.append(row)
    schedules = [schedule(each * len(plan.seeds), count) for count in counts]
    if json:
        waiting = seconds_until_done(each * len(plan.seeds), cells_at_once(options, settings.device, budget))
        document = _document(plan, str(directory), dict(zip(plan.entries, each, strict=True)), waiting)
        print_json(document | ({"schedules": list(map(asdict, schedules))} if schedules else {}))
        return
    suite = plan.suite
    threads = f"{settings.threads} thread{'' if settings.threads == 1 else 's'}"
    limit, at_once = settings.training_problems, cells_at_once(options, settings.device, budget)
    target = console()
    target.print(f"{suite.name} {suite.version}: {suite.summary}", soft_wrap=True)
    target.print(
        f"seeds {', '.join(map(str, plan.seeds))}; budget {plan.budget} a cell; {settings.parameters:,} parameters "
        f"({settings.match}); training problems {f'{limit:,}' if limit else 'endless'}; "
        f"{settings.device}, precision {settings.precision}, {threads}; folder {directory}",
        soft_wrap=True,
    )
    for line in left_out_lines(options):
        target.print(line, soft_wrap=True)
    print_listing("Cells", rows)
    for name, planned in plan.entries.items():
        values = planned.config | planned.training
        target.print(f"{name}: {' '.join(f'{key}={value}' for key, value in values.items())}", soft_wrap=True)
        for remark in remarks(planned.config):
            target.print(f"{name}: {remark}", soft_wrap=True)
    if any(not planned.tuned for planned in plan.entries.values()):
        target.print("! not tuned for this suite, size, budget and settings, or of another size than asked")
    waiting = seconds_until_done(each * len(plan.seeds), at_once)
    beside = "one after another" if at_once == 1 else f"{at_once} at once"
    target.print(
        f"about {short_time(waiting)} here, {beside}: {len(rows)} x {len(plan.seeds)} cells, "
        f"{short_time(sum(each) * len(plan.seeds))} of training in all "
        f"(from a few steps with throwaway weights, without evaluation)"
    )
    if schedules:
        target.print()
        shown = [
            {
                "workers": found.workers,
                "until done": short_time(found.seconds),
                "worker hours": f"{found.worker_seconds / 3600:.2f}",
                "busy in the last hour": f"{found.last_hour:.0%}",
            }
            for found in schedules
        ]
        print_listing("On workers like this machine, the longest cells first, with start and transfer", shown)


def _document(plan: Plan, directory: str, seconds: dict[str, float], waiting: float) -> dict[str, Any]:
    """The plan for programs. `seconds`: architecture -> of training a cell; `waiting`: until all cells are done."""
    from bench.planning.amounts import parse_budget

    settings, budget = plan.settings, parse_budget(plan.budget)
    cells = []
    for name, planned in plan.entries.items():
        batch, optimizer_flops = planned.training["batch"], planned.optimizer_flops_per_step or 0
        examples = budget.examples(batch, planned.flops_per_example, optimizer_flops)
        cells.append(
            {
                "architecture": name,
                "parameters": planned.parameters,
                "active_parameters": planned.active_parameters,
                "match": planned.match,
                "flops_per_example": planned.flops_per_example,
                "examples": examples,
                "train_seconds": seconds[name],
                "preset": planned.preset,
                "tuned": planned.tuned,
                "config": planned.config,
                "training": planned.training,
            }
        )
    return {
        "suite": plan.suite.name,
        "suite_version": plan.suite.version,
        "seeds": plan.seeds,
        "budget": plan.budget,
        "settings": settings.model_dump(),
        "folder": directory,
        "cells": cells,
        "seconds_until_done": waiting,
    }
