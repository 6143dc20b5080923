"""The plug-in of these tests, as if nobody had loaded it before."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.architectures import registry

FOLDER = Path(__file__).parents[1] / "architectures" / "plugins"


@contextmanager
def unknown_plugin() -> Iterator[str]:
    """A context in which `tiny_gru`, the name that it gives, can be loaded; all is as before after it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_registered", dict(registry._registered))
        patch.setattr(registry, "_plugins", registry._plugins - {"tiny_gru"})
        patch.delitem(sys.modules, "tiny_gru", raising=False)
        patch.syspath_prepend(FOLDER)
        try:
            yield "tiny_gru"
        finally:
            sys.modules.pop("tiny_gru", None)
