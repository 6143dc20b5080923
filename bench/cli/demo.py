"""`demo`: the page of `serve` on trained models that come with the project."""


def demo_command(name: str = "products3", /, *, port: int = 8000) -> None:
    """Ask trained models at once: the page of `serve` on a published run that comes with its weights.

    The models of `products3` multiply up to 3x3 digits and show their workings; those of `quick` take + - * / of one
    and two digits. Opens the page in a browser where there is a screen. Ctrl-C ends it. Needs the extra `serve`, and
    the project's folder: an installed wheel has no runs.

    Parameters
    ----------
    name
        Name of the published run.
    port
        Port to listen at; 0 takes one that is free.
    """
    from bench.choosing import PUBLISHED
    from bench.cli.serve import serve_command
    from bench.errors import UserError, suggest
    from bench.results.records.plan import PLAN
    from bench.results.records.record import WEIGHTS

    names = sorted(
        plan.parent.name for plan in PUBLISHED.glob(f"*/{PLAN}") if any(plan.parent.glob(f"cells/*/{WEIGHTS}"))
    )
    if not names:
        raise UserError(f"{PUBLISHED}: no run with weights is here; run it in the folder of a clone of the project")
    if name not in names:
        raise UserError(f"'{name}': no published run of that name comes with weights; {suggest(name, names)}")
    serve_command(PUBLISHED / name, port=port, browser=True)
