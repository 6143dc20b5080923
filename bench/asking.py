"""One expression, asked of trained models: what each answers, beside what is right."""

from dataclasses import dataclass
from math import prod

from bench.datasets.expressions import as_problems, read_expression
from bench.datasets.outside import shown
from bench.datasets.problems import Problems, solve
from bench.datasets.split import SPLITS, split_of
from bench.datasets.tokenizers import EOS, PAD
from bench.errors import UserError
from bench.facts import facts
from bench.results.pretrained import is_pretrained
from bench.trained import TrainedModel


@dataclass(frozen=True)
class Symbol:
    """One symbol of an answer, or as many as the suite's tokenizer makes one token of."""

    symbol: str
    probability: float
    """that the model gave it, see `Architecture.likelihoods`"""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What one model says to one expression. A model that cannot be asked has a `reason`, and no figures."""

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
    """the exact answer under the suite's rule of division, '' where that gives none"""
    right: bool
    """all symbols generated are right up to the end token, whatever the workings before the answer"""
    raw: str = ""
    """the symbols as generated: the last digit first where the suite reverses answers, and behind the workings"""
    workings: str = ""
    """the part of `raw` before the answer, with its end; '' where the suite has no workings"""
    confidence: float | None = None
    """product of the probabilities of all symbols generated, the end token among them"""
    symbols: list[Symbol]
    """of the answer, in the order in which a person reads them"""
    workings_probability: float | None = None
    """product over the symbols of the workings; None where the suite has none"""
    end_probability: float | None = None
    """of the end token; None where there is none, and the answer was cut off at the suite's width"""
    seconds: float | None = None
    """that generating took"""
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
    replies = [_reply(model, problem) for model in models]
    if all(reply.reason for reply in replies):
        suite = models[0].suite.name
        raise UserError(f"{replies[0].expression}: {replies[0].reason}; models of suite {suite} cannot be asked that")
    return replies


def _reply(model: TrainedModel, problem: Problems) -> Reply:
    encoding = model.suite.encoding
    expression, split = "".join(problem.texts(0)), SPLITS[split_of(problem)[0]]
    reason = model.unwritable(problem)[0]
    unseen = split != "train" or bool(reason) or facts(model.suite, problem, [split])["range"][0] == "beyond"
    unseen = unseen and not is_pretrained(model.record)
    if reason:
        return Reply(
            architecture=model.architecture,
            seed=model.seed,
            expression=expression,
            split=split,
            unseen=unseen,
            answer="",
            expected="",
            right=False,
            symbols=[],
            reason=reason,
        )
    answered = model.answer(problem)
    ids = answered.ids[0].tolist()
    length = ids.index(EOS) if EOS in ids else len(ids)
    probabilities = model.likelihoods(problem, answered.ids)[0].tolist()
    form, decode = encoding.form, encoding.tokenizer.decode
    start = _start_of_answer(ids[:length], encoding.workings_end)
    symbols = [Symbol(form.as_read(decode([ids[place]])), probabilities[place]) for place in range(start, length)]
    raw = decode(ids)
    return Reply(
        architecture=model.architecture,
        seed=model.seed,
        expression=expression,
        split=split,
        unseen=unseen,
        answer=form.read_answer(raw),
        expected=solve(problem, model.suite.rule).text(0),
        right=bool(answered.right[0]),
        raw=raw,
        workings=decode(ids[:start]),
        confidence=prod(probabilities[: length + 1]),
        symbols=symbols[::-1] if form.answer == "reversed" else symbols,
        workings_probability=None if encoding.workings_end == PAD else prod(probabilities[:start]),
        end_probability=probabilities[length] if length < len(ids) else None,
        seconds=answered.seconds,
    )


def _start_of_answer(ids: list[int], workings_end: int) -> int:
    """Where the answer starts: behind the workings, which are all there is where they never end."""
    if workings_end == PAD:
        return 0
    return ids.index(workings_end) + 1 if workings_end in ids else len(ids)
