"""One expression, asked of trained models: what each answers, beside what is right."""

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from bench.datasets.expressions import as_problems, read_expression
from bench.datasets.outside import shown
from bench.datasets.problems import Problems
from bench.datasets.split import SPLITS, split_of
from bench.datasets.tokenizers import EOS
from bench.errors import UserError
from bench.facts import facts
from bench.results.entries import NO_VALUE, Entry, Table, number_entry
from bench.trained import TrainedModel


@dataclass(frozen=True)
class Symbol:
    """One symbol of an answer."""

    symbol: str
    probability: float
    """that the model gave it, see `Architecture.likelihoods`"""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What one model says to one expression. A model that cannot be asked has a `reason`, and no figures."""

    architecture: str
    seed: int
    expression: str
    """as the suite writes it, such as '-12*7'"""
    split: str
    """'train', 'validation' or 'test', by the rule of magnitudes"""
    unseen: bool
    """no model was trained on it: it is of another split than 'train', or beyond the patterns of the suite"""
    answer: str
    """as a person writes it, '' where what was generated is no number"""
    expected: str
    """the exact answer under the suite's rule of division, '' where that gives none"""
    right: bool
    """all symbols generated are right, up to the end token"""
    raw: str = ""
    """the symbols as generated: the last digit first where the suite reverses answers"""
    confidence: float | None = None
    """product of the probabilities of all symbols generated, the end token among them"""
    symbols: list[Symbol]
    """of the answer, in the order in which a person reads them"""
    end_probability: float | None = None
    """of the end token; None where there is none, and the answer was cut off at the suite's width"""
    seconds: float | None = None
    """that generating took, of all problems that were asked together"""
    reason: str = ""
    """why the model cannot be asked, the end of a sentence about the expression"""


def read_problem(text: str) -> Problems:
    """The one problem that a text, plain, LaTeX or words, asks for.

    Raises:
        UserError: it is no operation on two numbers.
    """
    try:
        return as_problems([read_expression(text)])
    except ValueError as error:
        raise UserError(f"'{shown(text)}': {error}") from None


def ask(models: list[TrainedModel], problem: Problems) -> list[Reply]:
    """What each model answers to one problem.

    Raises:
        UserError: none of them can be asked.
    """
    [replies] = ask_together(models, problem)
    refuse_unasked(models, replies)
    return replies


def ask_together(models: list[TrainedModel], problems: Problems) -> list[list[Reply]]:
    """What each model answers to each problem, a list a problem: many cost little more than one."""
    return [list(replies) for replies in zip(*(_replies(model, problems) for model in models), strict=True)]


def refuse_unasked(models: list[TrainedModel], replies: list[Reply]) -> None:
    """Raises UserError where none of the models can be asked what their replies are about."""
    if all(reply.reason for reply in replies):
        suite = models[0].suite.name
        raise UserError(f"{replies[0].expression}: {replies[0].reason}; models of suite {suite} cannot be asked that")


def reply_table(replies: list[Reply]) -> Table:
    """The replies to one problem, a row a model; at least one of them was asked."""
    asked = next(reply for reply in replies if not reply.reason)
    seen = "no model was trained on it" if asked.unseen else "it may have been trained on"
    rows = []
    for reply in replies:
        answer = reply.answer or f"no number: {reply.raw}"
        figures = [reply.confidence and 100 * reply.confidence, reply.seconds and 1000 * reply.seconds]
        rows.append(
            [
                Entry(text=f"{reply.architecture} seed {reply.seed}"),
                Entry(text=f"cannot be asked: it {reply.reason}" if reply.reason else answer),
                Entry(text=NO_VALUE if reply.reason else "right" if reply.right else "wrong"),
                *(number_entry(figure, decimals=1) for figure in figures),
            ]
        )
    return Table(
        title=f"{asked.expression} = {asked.expected}   ({asked.split} split: {seen})",
        columns=["model", "answer", "", "confidence %", "ms"],
        rows=rows,
        left=frozenset({0, 1, 2}),
    )


def _replies(model: TrainedModel, problems: Problems) -> list[Reply]:
    """What one model answers to each problem."""
    encoding = model.suite.encoding
    splits = [SPLITS[split] for split in split_of(problems)]
    reasons = model.unwritable(problems)
    replies = [
        Reply(
            architecture=model.architecture,
            seed=model.seed,
            expression="".join(problems.texts(row)),
            split=splits[row],
            unseen=True,
            answer="",
            expected="",
            right=False,
            symbols=[],
            reason=reason,
        )
        for row, reason in enumerate(reasons)
    ]
    rows = np.flatnonzero([not reason for reason in reasons])
    if not len(rows):
        return replies
    asked = problems.rows(rows)
    known = facts(model.suite, asked, [splits[row] for row in rows])
    answered = model.answer(asked)
    likelihoods = model.likelihoods(asked, answered.ids)
    for place, row in enumerate(rows):
        ids, probabilities = answered.ids[place].tolist(), likelihoods[place].tolist()
        length = ids.index(EOS) if EOS in ids else len(ids)
        symbols = [
            Symbol(encoding.tokenizer.vocabulary[i], p) for i, p in zip(ids[:length], probabilities, strict=False)
        ]
        raw = encoding.tokenizer.decode(ids)
        replies[row] = replace(
            replies[row],
            unseen=splits[row] != "train" or known["range"][place] == "beyond",
            answer=encoding.form.read_answer(raw),
            expected=known["answer"][place],
            right=bool(answered.right[place]),
            raw=raw,
            confidence=prod(probabilities[: length + 1]),
            symbols=symbols[::-1] if encoding.form.answer == "reversed" else symbols,
            end_probability=probabilities[length] if length < len(ids) else None,
            seconds=answered.seconds,
        )
    return replies
