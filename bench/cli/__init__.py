"""The command line: one file a command, each imported only when it is called."""

from cyclopts import App

from bench import __version__

COMMANDS = {
    "run": "Train architectures under one budget and print the tables.",
    "check": "Resolve everything and print the plan; train nothing.",
    "tune": "Search settings for each architecture: as many trials, one space, one budget, scored on validation.",
    "perf": "Measure training and answering speed, memory, and the share of the machine's peak.",
    "list": "What there is: architectures, suites, runs.",
    "data": "Look at the problems of a suite.",
    "report": "Tables and charts of one or several runs, computed from their files.",
    "compare": "Two architectures, slice by slice: what can be told, and what cannot.",
    "verify": "Recompute whatever can be recomputed of a run, and name what is wrong.",
    "eval": "Ask the trained models of a run problems from elsewhere.",
    "score": "The same tables for anyone's predictions.",
    "ask": "One answer from each trained model of a run, beside the right one.",
}

app = App(
    name="python -m bench",
    help="Which neural architecture learns arithmetic best for a given budget?",
    version=__version__,
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # `main` answers it, in one line
)
for name, summary in COMMANDS.items():
    app.command(f"bench.cli.{name}:{name}_command", name=name, help=summary)
