"""One expression, asked of trained models: what each answers, beside what is right."""

from dataclasses import dataclass
from math import prod

from bench.asking.models import TrainedModel
from bench.datasets.expressions import as_problems, read_expression
from bench.datasets.problem_files import shown
from bench.datasets.problems import Problems
from bench.datasets.properties import properties_of
from bench.datasets.split import SPLITS, split_of
from bench.datasets.writing.tokenizers import EOS, PAD
from bench.errors import UserError
from bench.results.report.table import NO_VALUE, Entry, Table, number_entry
from bench.results.statistics.pretrained import is_pretrained


@dataclass(frozen=True)
class Symbol:
    """One symbol of an answer, or as many as the suite's tokenizer makes one token of."""

    symbol: str
    probability: float
    """that the model gave it, see `Architecture.likelihoods`"""


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
    """What each model of a run answers to one problem.

    Raises:
        UserError: models of that suite cannot be asked it.
    """
    refuse_unwritable(models, problem)
    [replies] = ask_together(models, problem)
    return replies


def ask_together(models: list[TrainedModel], problems: Problems) -> list[list[Reply]]:
    """What each model answers to each problem, a list a problem: many cost little more than one."""
    return [list(replies) for replies in zip(*(_replies(model, problems) for model in models), strict=True)]


def refuse_unwritable(models: list[TrainedModel], problem: Problems) -> None:
    """Raises UserError where the suite of the models has no way to write a problem."""
    suite = models[0].suite
    [reason] = suite.encoding.unwritable(problem)
    if reason:
        expression = "".join(problem.texts(0))
        raise UserError(f"{expression}: {reason}; models of suite {suite.name} cannot be asked that")


def whether_seen(replies: list[Reply]) -> str:
    """Whether models may have been trained on what they were asked, and why, in words."""
    split = replies[0].split
    met = list(dict.fromkeys(reply.architecture for reply in replies if not reply.unseen))
    unseen = any(reply.unseen for reply in replies)
    seen = "it may have been trained on" if met else "no model was trained on it"
    if met and unseen:  # whoever was pretrained
        seen = f"{', '.join(met)} may have met it before, no other model was trained on it"
    beyond = " but beyond the suite's patterns" if unseen and split == "train" else ""
    return f"{split} split{beyond}: {seen}"


def reply_table(replies: list[Reply]) -> Table:
    """The replies to one problem, a row a model."""
    first = replies[0]
    workings = first.workings_probability is not None
    rows = []
    for reply in replies:
        answer = reply.answer or f"no number: {reply.raw.removeprefix(reply.workings) or 'nothing'}"
        rows.append(
            [
                Entry(text=f"{reply.architecture} seed {reply.seed}"),
                *([Entry(text=reply.workings or NO_VALUE)] if workings else []),
                Entry(text=answer),
                Entry(text="right" if reply.right else "wrong"),
                number_entry(100 * reply.confidence, decimals=1),
                number_entry(1000 * reply.seconds, decimals=1),
            ]
        )
    return Table(
        title=f"{first.expression} = {first.expected}   ({whether_seen(replies)})",
        columns=["model", *(["workings"] if workings else []), "answer", "", "confidence %", "ms"],
        rows=rows,
        left=frozenset(range(3 + workings)),
    )


def _replies(model: TrainedModel, problems: Problems) -> list[Reply]:
    """What one model answers to each problem."""
    encoding = model.suite.encoding
    splits = [SPLITS[split] for split in split_of(problems)]
    known = properties_of(model.suite, problems, splits)
    answered = model.answer(problems)
    likelihoods = model.likelihoods(problems, answered.ids)
    form, decode = encoding.form, encoding.tokenizer.decode
    replies = []
    for row, split in enumerate(splits):
        ids, probabilities = answered.ids[row].tolist(), likelihoods[row].tolist()
        length = ids.index(EOS) if EOS in ids else len(ids)
        start = _start_of_answer(ids[:length], encoding.workings_end)
        symbols = [Symbol(form.as_read(decode([ids[at]])), probabilities[at]) for at in range(start, length)]
        raw = decode(ids)
        reply = Reply(
            architecture=model.architecture,
            seed=model.seed,
            expression="".join(problems.texts(row)),
            split=split,
            unseen=not is_pretrained(model.record) and (split != "train" or known["range"][row] == "beyond"),
            answer=form.read_answer(raw),
            expected=known["answer"][row],
            right=bool(answered.right[row]),
            raw=raw,
            workings=decode(ids[:start]),
            confidence=prod(probabilities[: length + 1]),
            symbols=symbols[::-1] if form.answer == "reversed" else symbols,
            workings_probability=None if encoding.workings_end == PAD else prod(probabilities[:start]),
            end_probability=probabilities[length] if length < len(ids) else None,
            seconds=answered.seconds,
        )
        replies.append(reply)
    return replies


def _start_of_answer(ids: list[int], workings_end: int) -> int:
    """Where the answer starts: behind the workings, which are all there is where they never end."""
    if workings_end == PAD:
        return 0
    return ids.index(workings_end) + 1 if workings_end in ids else len(ids)
