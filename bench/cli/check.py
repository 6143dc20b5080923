"""`check`: the plan of a run, with sizes, FLOPs and time; trains nothing."""

from bench.planning.options import RunOptions


def check_command(options: RunOptions) -> None:
    """Resolve everything and print the plan with parameters, FLOPs and time; train nothing."""
    from bench.cli.output import console, print_listing
    from bench.errors import UserError, reason_of
    from bench.planning.amounts import short_count
    from bench.planning.decide import missing_lines, resolve
    from bench.planning.estimate import training_seconds
    from bench.results.report.tables.listing import listing
    from bench.running.run_folder import refuse_difference

    plan = resolve(options)
    directory = options.out or plan.directory
    refuse_difference(plan, directory)
    rows = {}
    seconds = 0.0
    for entry in plan.entries:
        try:
            cell_seconds = training_seconds(plan, entry)
        except Exception as error:  # whatever an architecture of somebody else does
            raise UserError(f"{entry.name}: cannot run here: {reason_of(error)}") from error
        seconds += cell_seconds * len(plan.seeds)
        held = entry.active_parameters if plan.match == "active" else entry.parameters
        examples = plan.budget.examples(entry.training.batch, entry.flops_per_example)
        rows[entry.name] = {
            "architecture": entry.name,
            "parameters": entry.parameters,
            "size": f"{held / plan.parameters - 1:+.2%}" + (" !" if entry.match == "unequal" else ""),
            "FLOPs/example": short_count(entry.flops_per_example),
            "FLOPs/cell": short_count(entry.flops_per_example * examples) if examples else "-",
            "about": f"{cell_seconds:,.0f} s",
            "tuned for": entry.preset + ("" if entry.tuned else " !") if entry.preset else "nothing !",
        }
    suite = plan.suite
    threads = f"{plan.threads} thread{'' if plan.threads == 1 else 's'}"
    target = console()
    target.print(f"{suite.name} {suite.version}: {suite.summary}", soft_wrap=True)
    target.print(
        f"seeds {', '.join(map(str, plan.seeds))}; budget {plan.budget} a cell; {plan.parameters:,} parameters "
        f"({plan.match}); training problems {f'{plan.training_problems:,}' if plan.training_problems else 'endless'}; "
        f"{plan.device}, precision {plan.precision}, {threads}; folder {directory}",
        soft_wrap=True,
    )
    for line in missing_lines(plan.left_out):
        target.print(line, soft_wrap=True)
    print_listing(listing("cells", "Cells", rows))
    for entry in plan.entries:
        settings = entry.as_json()["config"] | entry.as_json()["training"]
        target.print(f"{entry.name}: {' '.join(f'{key}={value}' for key, value in settings.items())}", soft_wrap=True)
    if any(not entry.tuned for entry in plan.entries):
        target.print("! not tuned for this suite, size, budget and settings, or of another size than asked")
    target.print(
        f"about {seconds:,.0f} s of training in all, by {len(rows)} x {len(plan.seeds)} cells, "
        f"{'one after another' if plan.at_once == 1 else f'{plan.at_once} at once'} "
        f"(from a few steps with throwaway weights, without evaluation)"
    )
