"""The command line: one file a command, each of which imports what it works with only when it is called."""

from cyclopts import App

from bench import __version__
from bench.cli.ask import ask_command
from bench.cli.check import check_command
from bench.cli.compare import compare_command
from bench.cli.data import data_command
from bench.cli.eval import eval_command
from bench.cli.export import export_command
from bench.cli.list import list_command
from bench.cli.perf import perf_command
from bench.cli.push import push_command
from bench.cli.report import report_command
from bench.cli.run import run_command
from bench.cli.score import score_command
from bench.cli.serve import serve_command
from bench.cli.tune import tune_command
from bench.cli.verify import verify_command

COMMANDS = {
    command.__name__.removesuffix("_command"): command
    for command in (
        run_command,
        check_command,
        tune_command,
        perf_command,
        list_command,
        data_command,
        report_command,
        compare_command,
        verify_command,
        eval_command,
        score_command,
        ask_command,
        export_command,
        push_command,
        serve_command,
    )
}

app = App(
    name="python -m bench",
    help="Which neural architecture learns arithmetic best for a given budget?",
    version=__version__,
    help_format="markdown",
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # `main` answers it, in one line
)
for name, command in COMMANDS.items():
    app.command(command, name=name)
