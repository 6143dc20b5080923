"""What a plan implies, made again from its suite, seeds and settings alone.

`verify` compares it with what the records and files of the run claim.
"""

import json
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench import architectures
from bench.architectures import Config
from bench.datasets.drawing.evaluation import EvaluationSet
from bench.datasets.drawing.sampling import Sampler
from bench.datasets.drawing.stream import BLOCK, ProblemStream, Stream
from bench.datasets.problems import Problems
from bench.datasets.split import SPLITS, split_of
from bench.datasets.writing.encoding import Encoded
from bench.plan import sequence_spec, suite_of
from bench.planning.sizing import count_flops, count_parameters
from bench.results.records.plan import Plan
from bench.running.evaluation import Answered, predictions


@dataclass(frozen=True)
class TrainingData:
    """The first examples of a seed's stream, made again."""

    data_hash: str
    chain: list[str]
    unique_problems: int
    tokens: NDArray[np.int64]
    """(examples,) tokens up to and with each example"""
    other_splits: int
    """problems among them that are not of the training split"""


class Expected:
    """What the plan in a run.json implies, each thing recomputed once.

    Raises ValueError where the plan's suite is none.
    """

    def __init__(self, plan: Plan) -> None:
        self.settings, self.suite = plan.settings, suite_of(plan)
        self._streams: dict[tuple[int, int], TrainingData] = {}
        self._sizes: dict[str, tuple[int, int, int]] = {}

    @cached_property
    def test(self) -> EvaluationSet:
        return self.suite.evaluation_set("test")

    @cached_property
    def seen(self) -> EvaluationSet:
        return self.suite.evaluation_set("seen")

    @cached_property
    def validation(self) -> EvaluationSet:
        return self.suite.evaluation_set("validation")

    @cached_property
    def validation_items(self) -> Encoded:
        return self.suite.encoding.encode(self.validation.problems)

    def validation_sample(self, architecture: str) -> NDArray[np.int64]:
        """Positions in the validation set of the problems that its learning curves are of."""
        return self.validation.sample(architectures.get(architecture).curve_problems, self.suite.key)

    @cached_property
    def asked(self) -> Encoded:
        """Test problems, then `seen` ones, as in the predictions."""
        return self.suite.encoding.encode(Problems.join([self.test.problems, self.seen.problems]))

    @cached_property
    def all_right(self) -> pd.DataFrame:
        """Predictions of somebody who answers everything right."""
        return self.frame(Answered(self.asked.answer, np.ones(len(self.asked.answer), dtype=bool), seconds=0.0))

    def frame(self, answered: Answered) -> pd.DataFrame:
        return predictions(self.suite, self.test, self.seen, answered)

    def training_data(self, seed: int, examples: int) -> TrainingData:
        """Cells of one seed and as many examples share it."""
        if (seed, examples) not in self._streams:
            problems = self.suite.stream(seed, self.settings.training_problems)
            stream = Stream(problems, self.suite.encoding)
            tokens = [stream.take(min(BLOCK, examples - start)).tokens for start in range(0, examples, BLOCK)]
            # Made from the blocks once more: a stream hands out token ids, not problems.
            other_splits = 0
            for number in range(-(-examples // BLOCK)):
                used = problems.block(number).rows(slice(examples - number * BLOCK))
                other_splits += int((split_of(used) != SPLITS.index("train")).sum())
            self._streams[seed, examples] = TrainingData(
                data_hash=stream.data_hash,
                chain=list(stream.chain),
                unique_problems=stream.unique_problems,
                tokens=np.cumsum(np.concatenate([np.empty(0, np.int64), *tokens])),
                other_splits=other_splits,
            )
        return self._streams[seed, examples]

    def hash_of_split(self, split: str, seed: int, examples: int) -> str | None:
        """`data_hash` of whoever trained on the problems of another split; None where that has no such problems."""
        try:
            sampler = Sampler(self.suite.strata(), self.suite.rule, split)
            problems = ProblemStream(sampler, self.suite.key, seed, self.settings.training_problems)
        except ValueError:
            return None
        stream = Stream(problems, self.suite.encoding)
        for start in range(0, examples, BLOCK):
            stream.take(min(BLOCK, examples - start))
        return stream.data_hash

    def size(self, architecture: str, config: Config) -> tuple[int, int, int]:
        """Parameters, active parameters, and FLOPs an example, of the model that a config describes."""
        key = json.dumps([architecture, asdict(config)], sort_keys=True)
        if key not in self._sizes:
            cls, spec = architectures.get(architecture), sequence_spec(self.suite)
            self._sizes[key] = *count_parameters(cls, config, spec), count_flops(cls, config, spec)
        return self._sizes[key]
