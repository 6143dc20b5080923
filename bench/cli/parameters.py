"""Parameters of several commands, with the help that is the same in each."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

RunDirectory = Annotated[Path, Parameter(help="Folder of the run.")]
ArchOfRun = Annotated[str, Parameter(help="Architecture of the run.")]
ArchsOfRun = Annotated[str | None, Parameter(help="Architectures of the run, separated by commas. Default: all.")]
SeedOfRun = Annotated[int | None, Parameter(help="Seed of the run. Default: the lowest that is finished.")]
SeedsOfRun = Annotated[
    str | None,
    Parameter(help="Seeds of the run (0 or 0,4), or all. Default: of each architecture the lowest that is finished."),
]
PluginOfRun = Annotated[
    str | None, Parameter(help="Module(s) that register architectures of the run, by name or path.")
]
ModelAt = Annotated[
    Path | None,
    Parameter(
        help="Folder or file of the model that a pretrained one was trained from, if not where its command said."
    ),
]
OwnPlugin = Annotated[str | None, Parameter(help="Module(s) that register architectures of your own, by name or path.")]
Json = Annotated[bool, Parameter(help="One JSON document on standard output.")]
JsonRows = Annotated[
    bool,
    Parameter(
        help="One JSON document on standard output: the rows of the tables, and of the lists of what is in none."
    ),
]
