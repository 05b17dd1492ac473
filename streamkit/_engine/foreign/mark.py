"""How a streamkit response tells the middleware around it to leave its stream alone.

The middleware leaves itself in the request's scope. What an app puts between wraps the two callables or copies the
scope, and either keeps the mark.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KEY = "streamkit"


def step_aside(scope: object) -> None:
    """Have a middleware that is around this request pass its response through; harmless where there is none."""
    if (guard := _guard_of(scope)) is not None:
        guard.step_aside()


def cut_off(scope: object) -> None:
    """Have a middleware that is around this request let nothing more of its response through."""
    if (guard := _guard_of(scope)) is not None:
        guard.cut_off()


def _guard_of(scope: object) -> Any:
    return scope.get(KEY) if isinstance(scope, Mapping) else None
