"""Find the tasks that make a stream, so that they can be cancelled in the order in which cleanup works.

anyio cancels by level: once a task group is cancelled every `await` in it fails, those in a `finally` too. So the task
that runs the generator is cancelled alone, natively and once, and has ended before anything cancels its group. Which
task that is, nobody tells: it is the one that sends, or a relative of it that is inside of an async generator.
Relatives are those that anyio's task groups make; a task that the app has started for itself is none.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
from collections import defaultdict
from collections.abc import Iterator
from types import AsyncGeneratorType
from typing import Any

KEEP = 0.05
"""Seconds that a look at all tasks of a loop serves: at a shutdown all streams end at once, and each looks."""

PLUMBING = frozenset({"anyio", "contextlib", "fastapi", "litestar", "quart", "sse_starlette", "starlette"})
"""Packages whose generators hand on what another task makes."""

Task = asyncio.Task[Any]
Generator = AsyncGeneratorType[object, Any]


class Families:
    """The tasks of a loop by the task that waits for them, looked up again when that is old."""

    def __init__(self) -> None:
        self._view: View | None = None

    def relatives(self, sender: Task, own: Task, since: float) -> Iterator[tuple[Task, Task | None]]:
        """Yield the tasks of the request whose app runs in `own` and sends in `sender`, neither of the two included.

        With each comes its host, the task whose group it is in. `since` is the loop's time when its stream began: a
        look from before that does not know its tasks.
        """
        loop, view = asyncio.get_running_loop(), self._view
        if view is None or view.loop is not loop or view.at <= since:
            view = self._view = View(loop)
            loop.call_later(KEEP, self._forget)
        for task in view.below(view.top(sender, own)):
            if task is not sender and task is not own and not task.done():
                yield task, view.host(task)

    def _forget(self) -> None:
        self._view = None


class View:
    """Which task of a loop has made which, as far as anyio's task groups know it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop, self.at = loop, loop.time()
        self._tasks = {id(task): task for task in asyncio.all_tasks(loop)}
        anyio = sys.modules.get("anyio")  # where the app has not loaded it, no task is of a group of its
        infos = anyio.get_running_tasks() if anyio is not None else []
        self._parents = {info.id: info.parent_id for info in infos if info.parent_id is not None}
        self._children = defaultdict(list)
        for ident, parent in self._parents.items():
            self._children[parent].append(ident)

    def top(self, task: Task, own: Task) -> int:
        """Return the id of the eldest relative of `task` from `own` on."""
        top = id(task)
        while top != id(own) and (parent := self._parents.get(top)) is not None:
            top = parent
        return top

    def host(self, task: Task) -> Task | None:
        """Return the task whose group a task is in."""
        return self._tasks.get(self._parents.get(id(task), 0))

    def below(self, top: int) -> Iterator[Task]:
        """Yield a task and all that come from it."""
        queue = [top]
        while queue:
            ident = queue.pop()
            queue += self._children.get(ident, ())
            if ident in self._tasks:
                yield self._tasks[ident]


def runs_generator(task: Task) -> bool:
    """Tell whether a task waits inside of an async generator of the app's own, one that is no framework's."""
    step: Any = task.get_coro()
    while step is not None:
        if type(step).__name__ in {"async_generator_asend", "async_generator_athrow"}:
            # The step does not tell its generator; what the garbage collector follows does.
            generator = next(filter(inspect.isasyncgen, gc.get_referents(step)), None)
            if generator is None or not _is_plumbing(generator):
                return True
            step = generator.ag_await
        else:
            step = getattr(step, "cr_await", None) or getattr(step, "gi_yieldfrom", None)
    return False


def generators_of(task: Task) -> list[Generator]:
    """Return the async generators that a task which waits iterates, the outer ones first; to close them at the end.

    Most frameworks close none: one that is suspended at a `yield` when its reader is cancelled would wait for the
    garbage collector.
    """
    found: dict[int, Generator] = {}
    step: Any = task.get_coro()
    while step is not None:
        _gather(step, found)
        step = next(
            (then for name in ("cr_await", "gi_yieldfrom", "ag_await") if (then := getattr(step, name, None))), None
        )
    return list(found.values())


def _gather(holder: object, found: dict[int, Generator]) -> None:
    # What a suspended frame iterates is on its stack, which only the garbage collector looks through.
    for thing in gc.get_referents(holder):
        if inspect.isasyncgen(thing) and id(thing) not in found:
            found[id(thing)] = thing
            _gather(thing, found)


def _is_plumbing(generator: Generator) -> bool:
    module = "" if generator.ag_frame is None else str(generator.ag_frame.f_globals.get("__name__"))
    return module.partition(".")[0] in PLUMBING
