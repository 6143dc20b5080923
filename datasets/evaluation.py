"""The fixed evaluation set of a suite: stratified, the same for every run of a suite version, hashed."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.datasets.counter import Counter, key_of
from bench.datasets.problems import Division, Problems
from bench.datasets.sampling import Sampler, list_split
from bench.datasets.split import fingerprint
from bench.datasets.strata import Stratum, dtype_for


@dataclass(frozen=True)
class EvaluationSet:
    """Problems of one split, stratum by stratum in the suite's order."""

    problems: Problems
    stratum: NDArray[np.int64]
    """(n,) index into `strata`"""
    strata: list[Stratum]
    counts: list[int]
    """problems of each stratum"""
    exhaustive: list[bool]
    """whether that is every problem the stratum has in this split, so that nothing was sampled"""
    hash: str
    """SHA-256 over all problems in order"""

    def __len__(self) -> int:
        return len(self.problems)

    def sample(self, most: int, key: str) -> NDArray[np.int64]:
        """Positions of at most `most` problems, chosen once for all by `key`, in order."""
        if len(self) <= most:
            return np.arange(len(self))
        return np.sort(Counter(key_of("sample", key)).permutation(len(self))[:most])


def evaluation_set(
    strata: list[Stratum], division: Division, split: str, per_stratum: int, problem_key: str
) -> EvaluationSet:
    """Up to `per_stratum` distinct problems of `split` from each stratum; a stratum with fewer is used whole."""
    dtype = dtype_for(strata, division)
    present = [s for s in strata if not s.is_listed(division) or len(list_split(s, division, split, dtype))]
    sampler = Sampler(present, division, split)
    parts, counts, exhaustive = [], [], []
    for number, stratum in enumerate(present):
        counter = Counter(key_of("evaluation", problem_key, split, str(stratum)))
        everything = sampler.listed(number)
        if everything is None:
            chosen = _distinct(sampler, number, per_stratum, counter)
        elif len(everything) > per_stratum:
            chosen = everything.rows(np.sort(counter.permutation(len(everything))[:per_stratum]))
        else:
            chosen = everything
        parts.append(chosen)
        counts.append(len(chosen))
        exhaustive.append(everything is not None and len(everything) <= per_stratum)
    problems = Problems.join(parts)
    digest = hashlib.sha256(fingerprint(problems).astype("<u8").tobytes()).hexdigest()
    return EvaluationSet(problems, np.repeat(np.arange(len(present)), counts), present, counts, exhaustive, digest)


def _distinct(sampler: Sampler, stratum: int, n: int, counter: Counter) -> Problems:
    """n distinct problems of a stratum that has many more."""
    problems = sampler.draw(np.full(n, stratum), counter)
    while True:
        _, first = np.unique(fingerprint(problems), return_index=True)
        problems = problems.rows(np.sort(first))
        if len(problems) >= n:
            return problems.rows(slice(n))
        problems = Problems.join([problems, sampler.draw(np.full(n, stratum), counter)])
