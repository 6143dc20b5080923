"""Suites: one small TOML file says which problems a comparison uses, how they are written, and its default budget.

The files of the project are in `suites/`; `load_suite` also takes the path of any other file.
"""

import difflib
import hashlib
import importlib.util
import itertools
import json
import reprlib
import tomllib
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from bench.datasets.drawing.counter import Counter, key_of
from bench.datasets.drawing.evaluation import EvaluationSet, evaluation_set
from bench.datasets.drawing.sampling import Sampler
from bench.datasets.drawing.stream import ProblemStream
from bench.datasets.problems import OPERATIONS, SIGNS, Division, DivisionRule, Signs
from bench.datasets.shipped import suite_names, suite_path
from bench.datasets.strata import Stratum
from bench.datasets.writing.encoding import Encoding, alphabet, integer_digits
from bench.datasets.writing.forms import Form
from bench.datasets.writing.tokenizers import SPECIAL, TOKENIZERS, BytePair, Tokenizer
from bench.datasets.writing.workings import Workings

MOST_DIGITS = 100
MOST_STRATA = 10_000
MOST_QUESTIONS = 50_000
"""Problems of an evaluation set."""
TEXTS_TO_LEARN_FROM = 20_000
"""Training problems from whose prompts and targets a byte-pair tokenizer is learnt."""

EXAMPLES = {
    "name": 'name = "mine"',
    "version": "version = 1",
    "summary": 'summary = "sums of two digits"',
    "operations": 'operations = ["+"]',
    "digits": 'digits = ["2x2"]',
    "defaults": '[defaults] with budget = "examples=50k" and parameters = 100_000',
    "defaults.budget": 'budget = "examples=50k"',
    "defaults.parameters": "parameters = 100_000",
}
"""Keys that a suite must have -> what a message shows where one is missing."""


def _no_repeats(value: tuple[Any, ...]) -> tuple[Any, ...]:
    repeated = sorted({str(item) for item in value if value.count(item) > 1})
    if repeated:
        raise ValueError(f"{', '.join(repeated)} stands there twice")
    return value


def _whole(value: Any) -> Any:
    """1e5, which TOML has as a float, as a whole number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Operation = Literal["+", "-", "*", "/"]
Pattern = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,2}x[1-9][0-9]{0,2}$")]
Places = Annotated[int, Field(ge=0, le=20)]
Amount = Annotated[int, Field(ge=1), BeforeValidator(_whole)]
Distinct = AfterValidator(_no_repeats)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class DivisionSection(_Section):
    rule: DivisionRule = "exact"
    places: Annotated[int, Field(ge=0, le=20)] = 2


class FormSection(_Section):
    """How problems are written (see `forms` for examples) and cut into tokens (see `tokenizers`)."""

    answer: Literal["plain", "reversed"] = "reversed"
    operands: Literal["plain", "padded"] = "plain"
    """padded: their integer parts filled with zeros to the longest operand of the suite"""
    answer_digits: Literal["plain", "padded"] = "plain"
    """padded: the answer's integer part filled with zeros to the most digits that an answer of the suite can have"""
    notation: Literal["ascii", "latex"] = "ascii"
    workings: Workings = "none"
    """scratchpad: how the answer is worked out stands before it; scratchpad-sums: with the sums of a
    product's rows, and the multiples of a divisor"""
    tokenizer: Literal["characters", "digit-chunks", "byte-pair"] = "characters"
    vocabulary: Annotated[int, Field(le=65_536)] | None = None
    """tokens that 'byte-pair' learns at most, special ones included; of that tokenizer alone"""

    @model_validator(mode="after")
    def _possible(self) -> "FormSection":
        if (self.tokenizer == "byte-pair") != (self.vocabulary is not None):
            raise ValueError("tokenizer 'byte-pair' needs vocabulary, such as 256, and no other takes it")
        if self.tokenizer == "byte-pair" and importlib.util.find_spec(BytePair.PACKAGE) is None:
            raise ValueError(
                "tokenizer 'byte-pair' needs the package tokenizers, which is not installed here: "
                "pip install -c constraints.txt -e '.[byte-pair]'"
            )
        return self


class EvaluationSection(_Section):
    """Problems of each stratum: `per_stratum` for test and for validation, and `seen` of the training split."""

    per_stratum: Annotated[int, Field(ge=1, le=MOST_QUESTIONS)] = 100
    seen: Annotated[int, Field(ge=0, le=MOST_QUESTIONS)] = 20
    extra_digits: Annotated[tuple[Pattern, ...], Distinct] = ()
    """patterns that are tested but never trained on"""


class DefaultsSection(_Section):
    """Settings of a run where its command does not say otherwise."""

    budget: str
    parameters: Amount
    seeds: Annotated[int, Field(ge=1)] = 3
    batch: Annotated[int, Field(ge=1)] = 256
    training_problems: Amount | None = None
    settings: dict[str, int | float | str | bool] = Field(default_factory=dict)
    """settings of all architectures that have them, as with `--set`"""


class Suite(_Section):
    """One suite; see the files in `suites/`."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    version: Annotated[int, Field(ge=1)]
    summary: str
    operations: Annotated[tuple[Operation, ...], Field(min_length=1), Distinct]
    digits: Annotated[tuple[Pattern, ...], Field(min_length=1), Distinct]
    signs: Annotated[tuple[Signs, ...], Field(min_length=1), Distinct] = SIGNS
    places: Annotated[tuple[Places, ...], Field(min_length=1), Distinct] = (0,)
    division: DivisionSection = DivisionSection()
    form: FormSection = FormSection()
    evaluation: EvaluationSection = EvaluationSection()
    defaults: DefaultsSection

    @model_validator(mode="after")
    def _possible(self) -> "Suite":
        for pattern in (*self.digits, *self.evaluation.extra_digits):
            if max(map(int, pattern.split("x"))) > MOST_DIGITS:
                raise ValueError(f"digits '{pattern}': at most {MOST_DIGITS} digits an operand")
        patterns = len(self.digits) + len(self.evaluation.extra_digits)
        strata = len(self.operations) * patterns * len(self.signs) * len(self.places)
        if strata > MOST_STRATA:
            raise ValueError(f"operations x digits x signs x places: {strata:,} strata; at most {MOST_STRATA:,}")
        questions = strata * max(self.evaluation.per_stratum, self.evaluation.seen)
        if questions > MOST_QUESTIONS:
            raise ValueError(f"evaluation: {questions:,} problems in {strata:,} strata; at most {MOST_QUESTIONS:,}")
        both = set(self.digits) & set(self.evaluation.extra_digits)
        if both:
            raise ValueError(f"evaluation.extra_digits: {', '.join(sorted(both))} is trained on, so not extra")
        if self.division.rule == "remainder" and "/" not in self.operations:
            raise ValueError("division.rule 'remainder' needs '/' among the operations")
        if self.form.answer_digits == "padded" and self.division.rule in ("fraction", "remainder"):
            raise ValueError(
                f"form.answer_digits 'padded' fits one number, not those of division '{self.division.rule}'"
            )
        if self.form.vocabulary is not None:
            least = len(SPECIAL) + len(alphabet(self._all_strata, self.rule, self._form))
            if self.form.vocabulary < least:
                raise ValueError(f"form.vocabulary {self.form.vocabulary}: single symbols alone are {least} tokens")
        return self

    def strata(self, patterns: tuple[str, ...] | None = None) -> list[Stratum]:
        """The trained strata, or those of other digit patterns, by operation (+ - * /), then in the suite's order."""
        every = itertools.product(self.operations, patterns or self.digits, self.signs, self.places)
        strata = []
        for operation, pattern, signs, places in every:
            a_digits, b_digits = map(int, pattern.split("x"))
            strata.append(Stratum(operation, a_digits, b_digits, signs, places))
        return sorted(strata, key=lambda s: OPERATIONS.index(s.operation))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, but for what this suite has worked out so far: the copy works it out anew."""
        copied = super().model_copy(update=update, deep=deep)
        for name in vars(copied).keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied

    @cached_property
    def rule(self) -> Division:
        return Division(self.division.rule, self.division.places)

    @cached_property
    def key(self) -> str:
        """A hash of the problems themselves, whatever their text form."""
        parts = [self.operations, self.digits, self.signs, self.places, self.division.rule, self.division.places]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @cached_property
    def hash(self) -> str:
        """SHA-256 of all settings of the suite, and of the byte-pair tokenizer.

        Settings of the form that are newer than the first runs are left out at their default, so that old hashes hold.
        """
        newer = ("answer_digits", "notation", "workings", "vocabulary")
        unused = {name for name in newer if getattr(self.form, name) == FormSection.model_fields[name].default}
        text = self.model_dump_json(exclude={"form": unused})
        if isinstance(self.encoding.tokenizer, BytePair):
            text += self.encoding.tokenizer.file
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def sampler(self) -> Sampler:
        """Draws training problems."""
        return Sampler(self.strata(), self.rule, "train")

    def stream(self, seed: int, training_problems: int | None = None) -> ProblemStream:
        """The training problems of one seed."""
        return ProblemStream(self.sampler, self.key, seed, training_problems)

    @cached_property
    def encoding(self) -> Encoding:
        """Text form and tokenizer at this suite's widths."""
        return Encoding(self._all_strata, self.rule, self._form, self._make_tokenizer)

    @cached_property
    def _all_strata(self) -> list[Stratum]:
        """All strata: those of training, and those that are only tested."""
        return self.strata(self.digits + self.evaluation.extra_digits)

    @cached_property
    def _form(self) -> Form:
        return Form(
            answer=self.form.answer,
            operands=self.form.operands,
            operand_digits=max(max(s.a_digits, s.b_digits) for s in self._all_strata),
            answer_digits=(
                max(integer_digits(s, self.rule) for s in self._all_strata)
                if self.form.answer_digits == "padded"
                else 1
            ),
            notation=self.form.notation,
            workings=self.form.workings,
        )

    def _make_tokenizer(self, symbols: str) -> Tokenizer:
        """A byte-pair tokenizer is learnt from problems of the training split, the same for all seeds and budgets."""
        if self.form.vocabulary is None:
            return TOKENIZERS[self.form.tokenizer](symbols)
        counter = Counter(key_of("tokenizer", self.key))
        some = self.sampler.draw(np.arange(TEXTS_TO_LEARN_FROM) % len(self.sampler.strata), counter)
        texts = [self._form.prompts(some), self._form.targets(some, self.rule)]
        return BytePair(symbols, texts, self.form.vocabulary)

    def evaluation_set(self, split: Literal["validation", "test", "seen"]) -> EvaluationSet:
        """The fixed problems of a split; 'seen' are problems of the training split, asked with the test.

        Digit patterns beyond the trained ones are in the test set alone.
        """
        patterns = self.digits + (self.evaluation.extra_digits if split == "test" else ())
        count = self.evaluation.seen if split == "seen" else self.evaluation.per_stratum
        of_split = "train" if split == "seen" else split
        return evaluation_set(self.strata(patterns), self.rule, of_split, count, f"{self.key} {self.version}")


def described() -> list[dict[str, Any]]:
    """What the suites of the project ask, and what a run of each takes by default."""
    return [
        {
            "name": suite.name,
            "version": suite.version,
            "strata": len(suite.strata()),
            "budget": suite.defaults.budget,
            "parameters": suite.defaults.parameters,
            "summary": suite.summary,
        }
        for suite in map(load_suite, suite_names())
    ]


@lru_cache(100)
def suite_of_content(content: str) -> Suite:
    """A suite from its settings in JSON; the same object for the same text, since it keeps what it works out.

    Raises pydantic's ValidationError, a ValueError, where they describe no possible suite.
    """
    return Suite.model_validate_json(content)


def load_suite(name: str) -> Suite:
    """A suite by name, or from the path of a TOML file.

    Raises:
        ValueError: no such suite or file, or the file does not describe a possible suite; one line says why.
    """
    path = suite_path(name)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        return suite_of_content(json.dumps(content))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ValueError(f"suite file '{path}' cannot be read: {reason}") from None
    except ValidationError as error:
        raise ValueError(f"suite file '{path}': {_first_error(error)}") from None
    except TypeError:
        raise ValueError(f"suite file '{path}': dates and times have no place in a suite") from None
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, or numbers and nesting too large for any parser
        raise ValueError(f"suite file '{path}' is not valid TOML: {error}") from None


def _first_error(error: ValidationError) -> str:
    """The first thing wrong with a suite, as one line: key, rule, and the likely intended key."""
    # A misspelt key is unknown, and what it should have been is missing: only the former says what to do.
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in first["loc"]).replace("\n", " ")
    if first["type"] == "extra_forbidden":
        section: Any = Suite
        for part in first["loc"][:-1]:
            section = section.model_fields[part].annotation
        known = list(section.model_fields)
        close = difflib.get_close_matches(str(first["loc"][-1]), known, 1)
        return f"unknown key '{where}'; " + (f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}")
    if first["type"] == "missing" and (example := EXAMPLES.get(where)):
        return f"{where} is missing; an example: {example}"
    message = first["msg"].removeprefix("Value error, ")
    given = "" if first["type"] in ("missing", "value_error") else f" (given: {reprlib.repr(first['input'])})"
    return f"{where + ': ' if where else ''}{message}{given}"
