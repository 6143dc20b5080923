"""Made-up plans, for tests that read runs and train nothing. On sys.path through `pythonpath` of pytest."""

from collections.abc import Sequence
from typing import Any

from bench.results.records.plan import Plan


def make_plan(
    *,
    architectures: Sequence[str] = ("lstm", "transformer"),
    seeds: Sequence[int] = (0, 1, 2),
    budget: str = "examples=3000",
    suite: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    entries: dict[str, dict[str, Any]] | None = None,
    **changes: Any,
) -> Plan:
    """A plan whose parts agree with one another, its hash too.

    `suite`, `settings` and `entries` (name -> keys of its entry) hold what differs from the usual values in there, and
    `changes` the values of other keys of the plan. Raises ValueError where that makes no plan.
    """
    its_suite = {
        **{"name": "tiny", "version": 1, "hash": "5" * 64, "source": "tiny", "content": {}},
        **{"summary": "+ - * / on one and two digits, for tests."},
        **(suite or {}),
    }
    its_settings = {
        **{"suite": its_suite["name"], "suite_version": its_suite["version"], "suite_hash": its_suite["hash"]},
        **{"budget": budget, "parameters": 10_000, "match": "total", "training_problems": None, "stop_when_flat": None},
        **{"device": "cpu", "precision": "32", "threads": 2, "version": "1", "torch": "2.13.0"},
        **(settings or {}),
    }
    entry = {
        **{"module": "bench.architectures.made_up", "config": {"width": 8}, "training": {"optimizer": "adamw"}},
        **{"parameters": 10_000, "active_parameters": 10_000, "match": "total", "flops_per_example": 10**6},
        **{"optimizer_flops_per_step": 0},
        **{"preset": "tiny 10k examples=3000", "tuned": True},
    }
    plan = Plan.model_validate(
        {
            **{"command": f"python -m bench run --arch {','.join(architectures)}", "settings": its_settings},
            **{"plan_hash": "", "suite": its_suite, "architectures": list(architectures), "seeds": list(seeds)},
            **{"entries": {name: entry | (entries or {}).get(name, {}) for name in architectures}, "budget": budget},
            **{"test_hash": "e" * 64, "strata": [], "versions": {"torch": "2.13.0"}, "machine": {"cpus": 2}, "git": {}},
            **changes,
        }
    )
    return plan.model_copy(update={"plan_hash": plan.recomputed_hash()})
