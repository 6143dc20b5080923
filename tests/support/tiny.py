"""Suites that a model learns and answers in a second."""

import json
from typing import Any

from bench.datasets.suites import Suite

TINY = """
name = "tiny"
version = 1
summary = "sums, differences and quotients of one digit"
operations = ["+", "-", "/"]
digits = ["1x1"]
[evaluation]
per_stratum = 10
seen = 5
[defaults]
budget = "examples=600"
parameters = 5_000
seeds = 1
batch = 32
"""


def suite_of(form: dict[str, Any], **changes: Any) -> Suite:
    """Sums, differences and products in a form of text, with some keys of the suite changed."""
    content = {
        **{"name": "forms", "version": 1, "summary": "products, too", "operations": ["+", "-", "*"]},
        **{"digits": ["1x1", "2x1"], "form": form, "evaluation": {"per_stratum": 5, "seen": 2}},
        "defaults": {"budget": "examples=600", "parameters": 5000},
    }
    return Suite.model_validate_json(json.dumps(content | changes))
