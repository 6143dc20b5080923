"""The objects that a plan describes in JSON: its suite, and each architecture's config and training settings."""

import json

from bench import architectures
from bench.architectures import Config, SequenceSpec
from bench.datasets.suites import Suite, suite_of_content
from bench.datasets.writing.tokenizers import BOS, EOS, MASK, PAD
from bench.planning.settings import TrainingSettings
from bench.results.records.plan import Plan, PlannedArchitecture


def suite_of(plan: Plan) -> Suite:
    """The suite of a plan. Raises pydantic's ValidationError, a ValueError, where its content is none."""
    return suite_of_content(json.dumps(plan.suite.content))


def config_of(architecture: str, planned: PlannedArchitecture) -> Config:
    """The config of an architecture, by its name. Raises ValueError where the name is unknown."""
    return architectures.get(architecture).Config(**planned.config)


def training_of(planned: PlannedArchitecture) -> TrainingSettings:
    return TrainingSettings(**planned.training)


def sequence_spec(suite: Suite) -> SequenceSpec:
    """What an architecture is told of a suite."""
    encoding = suite.encoding
    return SequenceSpec(
        vocabulary=len(encoding.tokenizer.vocabulary),
        prompt_width=encoding.prompt_width,
        answer_width=encoding.answer_width,
        pad=PAD,
        bos=BOS,
        eos=EOS,
        mask=MASK,
        digits=encoding.tokenizer.digit_ids,
        reversed=suite.form.answer == "reversed",
        texts=encoding.tokenizer.vocabulary,
        tokenize=encoding.tokenize,
    )
