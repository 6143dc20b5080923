"""One expression, asked of trained models: what each answers, beside what is right."""

from math import prod

from bench.asking.models import TrainedModel
from bench.datasets.expressions import as_problems, read_expression
from bench.datasets.problem_files import shown
from bench.datasets.problems import Problems
from bench.datasets.properties import properties_of
from bench.datasets.split import SPLITS, split_of
from bench.datasets.suites import Suite
from bench.datasets.writing.paper import on_paper
from bench.datasets.writing.tokenizers import EOS, PAD
from bench.datasets.writing.workings import first_wrong_part
from bench.errors import UserError
from bench.results.report.tables.replies import PaperLine, Reply, Symbol
from bench.results.statistics.pretrained import is_pretrained
from bench.running.evaluation import mistake


def read_problem(text: str) -> Problems:
    """The problem of a text, plain, LaTeX or words. Raises UserError where it is no operation on two numbers."""
    try:
        return as_problems([read_expression(text)])
    except ValueError as error:
        raise UserError(f"'{shown(text)}': {error}") from None


def ask(models: list[TrainedModel], problem: Problems) -> list[Reply]:
    """What each model of a run answers to a problem. Raises UserError where that suite's models cannot be asked it."""
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


def _replies(model: TrainedModel, problems: Problems) -> list[Reply]:
    """What one model answers to each problem."""
    encoding = model.suite.encoding
    splits = [SPLITS[split] for split in split_of(problems)]
    known = properties_of(model.suite, problems, splits)
    answered = model.answer(problems)
    likelihoods = model.likelihoods(problems, answered.ids)
    form, decode = encoding.form, encoding.tokenizer.decode
    wanted = [decode(ids) for ids in encoding.encode(problems).answer] if form.workings != "none" else []
    replies = []
    for row, split in enumerate(splits):
        ids, probabilities = answered.ids[row].tolist(), likelihoods[row].tolist()
        length = ids.index(EOS) if EOS in ids else len(ids)
        start = _start_of_answer(ids[:length], encoding.workings_end)
        symbols = [Symbol(form.as_read(decode([ids[at]])), probabilities[at]) for at in range(start, length)]
        raw = decode(ids)
        texts, answer = problems.texts(row), form.read_answer(raw)
        wrong, paper = "", []
        if wanted:
            wrong = mistake(model.suite, raw, wanted[row], texts[1])
            paper = _on_paper(model.suite, texts, answer, decode(ids[:start]), form.workings_of(wanted[row]))
        reply = Reply(
            architecture=model.architecture,
            seed=model.seed,
            expression="".join(texts),
            split=split,
            unseen=not is_pretrained(model.record) and (split != "train" or known["range"][row] == "beyond"),
            answer=answer,
            expected=known["answer"][row],
            right=bool(answered.right[row]),
            raw=raw,
            workings=decode(ids[:start]),
            mistake=wrong,
            paper=paper,
            confidence=prod(probabilities[: length + 1]),
            symbols=symbols[::-1] if form.answer == "reversed" else symbols,
            workings_probability=None if encoding.workings_end == PAD else prod(probabilities[:start]),
            end_probability=probabilities[length] if length < len(ids) else None,
            seconds=answered.seconds,
        )
        replies.append(reply)
    return replies


def _on_paper(suite: Suite, texts: tuple[str, str, str], answer: str, workings: str, right: str) -> list[PaperLine]:
    """A model's workings, the line marked in which they go wrong first."""
    wrong = first_wrong_part(workings, right)
    lines = on_paper(texts, answer, workings, suite.rule, reverse=suite.encoding.form.answer == "reversed")
    first = next((number for number, line in enumerate(lines) if wrong in line.parts), None)
    return [PaperLine(line.text, number == first) for number, line in enumerate(lines)]


def _start_of_answer(ids: list[int], workings_end: int) -> int:
    """Where the answer starts: behind the workings, which are all there is where they never end."""
    if workings_end == PAD:
        return 0
    return ids.index(workings_end) + 1 if workings_end in ids else len(ids)
