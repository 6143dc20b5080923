"""The evaluation set of a suite: fixed problems from every stratum, the same for all runs of a suite version."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.datasets.drawing.counter import Counter, key_of
from bench.datasets.drawing.sampling import Sampler, list_split
from bench.datasets.problems import NO_PROBLEMS, Division, Problems
from bench.datasets.split import distinct, fingerprint
from bench.datasets.strata import Stratum, dtype_for

MOST_BARREN_DRAWS = 20


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
    """whether these are all problems that the stratum has in this split"""
    hash: str
    """SHA-256 over all problems in order"""

    def __len__(self) -> int:
        return len(self.problems)

    def sample(self, most: int, key: str) -> NDArray[np.int64]:
        """Positions of at most `most` problems, in order; `key` alone decides which."""
        if len(self) <= most:
            return np.arange(len(self))
        return np.sort(Counter(key_of("sample", key)).permutation(len(self))[:most])


def evaluation_set(
    strata: list[Stratum], division: Division, split: str, per_stratum: int, problem_key: str
) -> EvaluationSet:
    """Up to `per_stratum` distinct problems of `split` from each stratum; of a stratum with fewer, all of them."""
    dtype = dtype_for(strata, division)
    drawn = [s for s in strata if not s.is_listed(division)]
    sampler = Sampler(drawn, division, split)
    parts, present, exhaustive = [NO_PROBLEMS], [], []
    for stratum in strata:
        counter = Counter(key_of("evaluation", problem_key, split, str(stratum)))
        if stratum.is_listed(division):
            chosen = list_split(stratum, division, split, dtype)
            whole = len(chosen) <= per_stratum
            if not whole:
                chosen = chosen.rows(np.sort(counter.permutation(len(chosen))[:per_stratum]))
        else:
            chosen, whole = _distinct(sampler, drawn.index(stratum), per_stratum, counter), False
        if len(chosen):
            present.append(stratum)
            parts.append(chosen)
            exhaustive.append(whole)
    problems, counts = Problems.join(parts), [len(part) for part in parts[1:]]
    digest = hashlib.sha256(fingerprint(problems).astype("<u8").tobytes()).hexdigest()
    return EvaluationSet(problems, np.repeat(np.arange(len(present)), counts), present, counts, exhaustive, digest)


def _distinct(sampler: Sampler, stratum: int, n: int, counter: Counter) -> Problems:
    """n distinct problems of a stratum, or fewer where 20 draws in a row bring no new one."""
    problems, barren = NO_PROBLEMS, 0
    while len(problems) < n and barren < MOST_BARREN_DRAWS:
        found = distinct(Problems.join([problems, sampler.draw(np.full(n, stratum), counter)]))
        barren = barren + 1 if len(found) == len(problems) else 0
        problems = found
    return problems.rows(slice(n))
