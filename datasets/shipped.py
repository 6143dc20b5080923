"""The suites that come with the project, by name. Imports nothing heavy, so that a wrong name is told at once."""

import difflib
from pathlib import Path

SUITES = Path(__file__).parent / "suites"


def suite_names() -> list[str]:
    """The names of the suites that come with the project."""
    return sorted(path.stem for path in SUITES.glob("*.toml"))


def suite_path(name: str) -> Path:
    """The file of a suite, by its name or as the path of a TOML file. Raises ValueError where there is no such name."""
    if name.endswith(".toml"):
        return Path(name)
    if name not in suite_names():
        close = difflib.get_close_matches(name, suite_names(), 1)
        hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(suite_names())}"
        raise ValueError(f"unknown suite '{name}'; {hint} (a file of your own: a path ending in .toml)")
    return SUITES / f"{name}.toml"
