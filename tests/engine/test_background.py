"""The loop that streamkit keeps: one per process, whoever asks for it at once, and none that does not run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from streamkit._engine import background
from streamkit._engine.background import background_loop
from streamkit._engine.threads import start_thread


@pytest.fixture(autouse=True)
def _no_loop_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_loops", {})


def test_loop_is_started_under_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that begins may run the garbage collector, and a finalizer there may want the loop."""
    found: list[asyncio.AbstractEventLoop] = []

    def start(run: Callable[[], object], name: str) -> None:
        thread = threading.Thread(target=lambda: found.append(background_loop()), daemon=True)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()

    monkeypatch.setattr(background, "start_native_thread", start)
    loop = background_loop()
    loop.close()
    assert found == [loop]


def test_threads_that_ask_at_once_agree_on_one_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes second closes what it has made, and starts nothing."""
    started: list[object] = []
    new, made = asyncio.new_event_loop, list[asyncio.AbstractEventLoop]()

    def new_beside_another() -> asyncio.AbstractEventLoop:
        if not made:
            made.append(new())
            assert background_loop() is made[1]
            return made[0]
        made.append(new())
        return made[1]

    monkeypatch.setattr(asyncio, "new_event_loop", new_beside_another)
    monkeypatch.setattr(background, "start_native_thread", lambda run, name: started.append(run))
    assert background_loop() is made[1]
    assert made[0].is_closed()
    assert started == [made[1].run_forever]
    made[1].close()


def test_loop_whose_thread_cannot_start_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next stream tries again, instead of waiting for a loop that never runs."""

    def refuse(run: Callable[[], object], name: str) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(background, "start_native_thread", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            background_loop()
    threads: list[threading.Thread] = []
    monkeypatch.setattr(background, "start_native_thread", lambda run, name: threads.append(start_thread(run, name)))
    loop = background_loop()
    loop.call_soon_threadsafe(loop.stop)
    threads[0].join(10)
    assert not threads[0].is_alive()
    loop.close()
