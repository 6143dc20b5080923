"""The table of replies: what each trained model answers to one expression, beside what is right."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.results.report.table import NO_VALUE, Column, Table, Value, figures, number_value, words


@dataclass(frozen=True)
class Symbol:
    """One symbol of an answer, or as many as the suite's tokenizer makes one token of."""

    symbol: str
    probability: float
    """that the model gave it, see `Architecture.likelihoods`"""


@dataclass(frozen=True)
class PaperLine:
    """A line of workings as a person writes them on paper."""

    text: str
    wrong: bool
    """the first part of the workings that is wrong stands in it"""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What one model says to one expression."""

    architecture: str
    seed: int
    expression: str
    """in plain symbols, such as '-12*7', however the suite writes it"""
    split: str
    """'train', 'validation' or 'test', by the rule of magnitudes"""
    unseen: bool
    """the model was not trained on it: it is of another split than 'train', or beyond the patterns of the suite; of a
    pretrained one nobody can tell"""
    answer: str
    """as a person writes it, '' where what was generated is no number"""
    expected: str
    """the exact answer under the suite's rule of division"""
    right: bool
    """all symbols generated are right up to the end token, whatever the workings before the answer"""
    raw: str
    """the symbols as generated: the last digit first where the suite reverses answers, and behind the workings"""
    workings: str
    """the part of `raw` before the answer, with its end; '' where the suite has no workings"""
    mistake: str
    """where they go wrong first, such as 'times 2'; '' where they are right, or the suite has none"""
    paper: list[PaperLine]
    """the model's workings, digit under digit; none where the suite has none"""
    confidence: float
    """product of the probabilities of all symbols generated, the end token among them"""
    symbols: list[Symbol]
    """of the answer, in the order in which a person reads them"""
    workings_probability: float | None
    """product over the symbols of the workings; None where the suite has none"""
    end_probability: float | None
    """of the end token; None where there is none, and the answer was cut off at the suite's width"""
    seconds: float
    """that generating took, of all problems that were asked together"""


def whether_seen(replies: Sequence[Reply]) -> str:
    """Whether models may have been trained on what they were asked, and why, in words."""
    split = replies[0].split
    met = list(dict.fromkeys(reply.architecture for reply in replies if not reply.unseen))
    unseen = any(reply.unseen for reply in replies)
    seen = "it may have been trained on" if met else "no model was trained on it"
    if met and unseen:  # whoever was pretrained
        seen = f"{', '.join(met)} may have met it before, no other model was trained on it"
    beyond = " but beyond the suite's patterns" if unseen and split == "train" else ""
    return f"{split} split{beyond}: {seen}"


def reply_table(replies: Sequence[Reply]) -> Table:
    """The replies to one problem, a row a model."""
    first = replies[0]
    workings = first.workings_probability is not None
    rows = {}
    for reply in replies:
        model = f"{reply.architecture} seed {reply.seed}"
        written = reply.raw.removeprefix(reply.workings) or "nothing"
        rows[model] = {
            "model": Value(model),
            "answer": Value(reply.answer or f"no number: {written}"),
            "right": Value("right" if reply.right else "wrong"),
            "confidence %": number_value(100 * reply.confidence, decimals=1),
            "ms": number_value(1000 * reply.seconds, decimals=1),
        } | ({"workings": Value(reply.workings or NO_VALUE)} if workings else {})
    columns = [*words("model", *(["workings"] if workings else []), "answer"), Column("right", "", left=True)]
    title = f"{first.expression} = {first.expected}   ({whether_seen(replies)})"
    return Table(key="replies", title=title, columns=[*columns, *figures("confidence %", "ms")], rows=rows)
