"""The table of a search, from files made by hand: what it cost, what it gained, and what differs from the paper."""

from pathlib import Path
from typing import Any

import pytest

from bench.results.files import BadFile, write_checked_json
from bench.results.records.search import BEST, SEARCH, TRIALS, read_search
from bench.results.report.tables.search import search

HEAD = (
    "architecture,stage,trial,seed,state,reason,score,correct,total,examples,flops,train_seconds,at_edge,lr,layers,norm"
)
ROWS = """
lstm,search,0,100,done,,0.2,2,10,5,7,1.5,,0.02,2,
lstm,search,1,100,done,,0.4,4,10,5,7,1.5,layers=1,0.01,1,
lstm,search,2,100,pruned,"behind, so ended",0.9,9,10,5,7,1,,0.04,2,
lstm,search,3,100,failed,,,,,0,0,0.0,,0.08,2,
lstm,final,0,100,done,,0.9,9,10,5,7,4.0,layers=1,0.01,1,
lstm,final,0,101,pruned,diverged: so,0.6,6,10,5,7,3.0,layers=1,0.01,1,
lstm,final,1,100,done,,0.5,5,10,5,7,4.0,,0.02,2,
lstm,final,1,101,done,,0.7,7,10,5,7,4.0,,0.02,2,
gru,search,0,100,pruned,diverged: so,,,,0,0,0.5,,0.02,2,rms
gru,search,1,100,done,,0.3,3,10,5,7,0.5,,0.01,1,none
"""
PAPERS: dict[str, Any] = {"lstm": {"paper": {}}, "gru": {"paper": {"norm": "layer", "window": None, "layers": 3}}}
TAKEN = "[tuned]\ntrials = 4\n[lstm]\nlr = 0.02\nlayers = 2\nclip = 1.0\n"
GRU = '[gru]\nlr = 0.01\nlayers = 1\nnorm = "none"\nwindow = "none"\n'


def files(folder: Path, rows: str = ROWS, best: str = TAKEN + GRU, head: str = HEAD) -> Path:
    write_checked_json(folder / SEARCH, {"schema": 6, "architectures": PAPERS})
    (folder / TRIALS).write_text(head + rows, encoding="utf-8")
    (folder / BEST).write_text(best, encoding="utf-8")
    return folder


def texts(folder: Path) -> dict[str, dict[str, str]]:
    rows = search(read_search(folder)).rows
    return {name: {key: value.text for key, value in row.items()} for name, row in rows.items()}


def test_a_row_says_what_the_search_cost_what_it_gained_and_what_it_took(tmp_path: Path) -> None:
    assert texts(files(tmp_path)) == {
        "lstm": {
            **{"architecture": "lstm", "done": "2", "pruned": "1", "failed": "1", "train_seconds": "19"},
            **{"defaults": "20.0", "best_trial": "40.0", "taken": "60.0", "finalists": "45.0 to 60.0"},
            **{"at_edge": "none", "paper": "none"},
        },
        "gru": {
            **{"architecture": "gru", "done": "1", "pruned": "1", "failed": "0", "train_seconds": "1"},
            **{"defaults": "pruned", "best_trial": "30.0", "taken": "-"},
            **{"at_edge": "none", "paper": "layers=1 (3), norm=none (layer)"},
        },
    }


def test_what_was_taken_and_stands_at_an_edge_is_named(tmp_path: Path) -> None:
    best = TAKEN.replace("lr = 0.02\nlayers = 2", "lr = 0.01\nlayers = 1")
    row = texts(files(tmp_path, best=best))["lstm"]
    assert (row["taken"], row["at_edge"]) == ("45.0", "layers=1")


def test_an_architecture_of_which_nothing_was_taken_has_its_costs_alone(tmp_path: Path) -> None:
    row = texts(files(tmp_path, best="[tuned]\ntrials = 4\n"))["lstm"]
    assert not {"taken", "at_edge", "paper"} & row.keys()
    assert row["train_seconds"] == "19"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"head": HEAD.replace("stage", "stages")}, "has no column 'stage'"),
        ({"rows": ROWS.replace("0.0,,0.08", "soon,,0.08")}, "trials.csv: cannot be read"),
        ({"best": "lr = "}, "tune.toml: cannot be read"),
    ],
)
def test_broken_files_are_named(change: dict[str, str], what: str, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=what):
        read_search(files(tmp_path, **change))
    (files(tmp_path) / SEARCH).write_text("{}")
    with pytest.raises(BadFile, match="was changed after it was written"):
        read_search(tmp_path)
