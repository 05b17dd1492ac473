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
    guard: Any = scope.get(KEY) if isinstance(scope, Mapping) else None
    if guard is not None:
        guard.step_aside()
