"""Make every process stall now and then, as on a machine that is too busy: `make stalls`.

Python imports a module of this name by itself where it finds one on its path, so the servers that tests start stall as
well. Before one in thirty callbacks of asyncio's own event loop some time passes, and threads change places a thousand
times as often as usual. A test that fails here and passes elsewhere depends on time, or has found what does.
"""

from __future__ import annotations

import random
import sys
import time
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

OFTEN = 0.03
SECONDS = (0.001, 0.003, 0.01)
"""The first is already enough for the pump to take an item for a slow one."""

sys.setswitchinterval(5e-6)


class _WhenImported(MetaPathFinder):
    """Changes asyncio when it is imported: most of what is started here never does."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Find asyncio's module of handles, and change it once it is there."""
        if name != "asyncio.events":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        assert spec is not None
        assert spec.loader is not None
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            _stall(module.Handle)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _stall(handle: Any) -> None:
    run = handle._run

    def _run(self: Any) -> None:
        if random.random() < OFTEN:
            time.sleep(random.choice(SECONDS))
        run(self)

    handle._run = _run


sys.meta_path.insert(0, _WhenImported())
