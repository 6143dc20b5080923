"""The command line: one file a command, each of which imports what it works with only when it is called."""

from importlib import import_module

from cyclopts import App, Parameter

from bench import __version__

COMMANDS = (
    *("run", "check", "choose", "tune", "reach", "perf", "list", "data", "report", "compare", "verify", "eval"),
    *("score", "ask", "export", "push", "serve", "demo"),
)

app = App(
    name="python -m bench",
    help="Which neural architecture learns arithmetic best for a given budget?",
    version=__version__,
    help_format="markdown",
    default_parameter=Parameter(negative=()),  # no --no-json beside --json
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # `main` answers it, in one line
)
for name in COMMANDS:
    app.command(getattr(import_module(f"bench.cli.{name}"), f"{name}_command"), name=name)
