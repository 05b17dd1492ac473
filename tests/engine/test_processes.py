"""What only a process of its own can show: imports, forks, exits, gevent, another event loop."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
import trio

from streamkit import asgi
from streamkit._engine.background import background_loop
from streamkit._engine.threads import running_loop
from tests.engine.drive import Client, WSGIClient, run, scope, stream
from tests.engine.interpreter import python


def test_import_loads_the_standard_library_alone_and_no_asyncio() -> None:
    """Nobody pays for an event loop or a framework that is not used."""
    code = """
        import sys
        before = set(sys.modules)
        import streamkit
        new = {name.partition(".")[0] for name in set(sys.modules) - before} - {"streamkit"}
        print(sorted(new - sys.stdlib_module_names), "asyncio" in sys.modules, "uuid" in sys.modules)
    """
    out, _ = python(code, prelude="")
    assert out == "[] False False\n"


def test_child_of_a_fork_has_a_loop_and_a_count_of_its_own() -> None:
    """A parent with open streams, its lock held, forks; both go on streaming."""
    out, err = python(
        """
        from streamkit import set_max_threads
        from streamkit._engine.limit import CAP

        set_max_threads(2)
        assert read(async_items()) == WHOLE
        gate = threading.Event()
        def held():
            yield "a"
            gate.wait(20)
        holders = [opened(held()) for _ in range(2)]
        assert CAP.reached() == CAP.total
        with CAP._counts.here().lock:
            pid = os.fork()
        if pid == 0:
            assert read(sync_items()) == WHOLE
            assert CAP.open == 0
            assert read(async_items()) == WHOLE
            if os.fork() == 0:
                assert read(async_items()) == WHOLE
                print("grandchild", flush=True)
                os._exit(0)
            assert os.wait()[1] == 0
            gc.collect()
            print("child", flush=True)
            os._exit(0)
        assert os.wait()[1] == 0
        assert CAP.reached() == CAP.total
        gate.set()
        assert read(async_items()) == WHOLE
        for holder in holders:
            holder.close()
        print("parent")
        """
    )
    assert out.split() == ["grandchild", "child", "parent"]
    assert err == ""


def test_open_streams_never_block_the_end_of_the_process() -> None:
    """Threads stuck in user code, a background loop with a source and a full pipe: the interpreter exits."""
    out, err = python(
        """
        def stuck():
            yield "a"
            threading.Event().wait()

        async def waiting():
            yield "a"
            await asyncio.Event().wait()

        pipe = Pipe(maxsize=1)
        threading.Thread(target=lambda: [pipe.put("x" * 100_000) for _ in range(9)], daemon=True).start()
        bodies = [opened(stuck()), opened(waiting()), opened(pipe)]
        for body in bodies:
            next(body), next(body)
        print("exit", flush=True)
        """
    )
    assert out == "exit\n"
    assert err == ""


def test_abandoned_streams_leave_nothing_running() -> None:
    """Bodies that no server closed are closed by garbage collection, also inside a cycle."""
    out, _ = python(
        """
        from streamkit._engine.limit import CAP

        closed = []

        def endless():
            try:
                while True:
                    yield "a"
            finally:
                closed.append("sync")

        async def async_endless():
            try:
                while True:
                    yield "a"
            finally:
                closed.append("async")

        for source in endless(), async_endless():
            body = opened(source)
            next(body), next(body)
            cycle = [body]
            cycle.append(cycle)
        del body, cycle, source
        until = time.monotonic() + 5
        while CAP.open or len(closed) < 2:
            gc.collect()
            assert time.monotonic() < until, (CAP.open, closed)
            time.sleep(0.001)
        print(sorted(closed))
        """
    )
    assert out == "['async', 'sync']\n"


def test_trio_is_refused_by_a_clear_error() -> None:
    """The error names the loop that is needed."""
    client = Client()

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def serve() -> None:
        await asgi.EventStreamResponse(["a"])(scope(), receive, client.send)

    with pytest.raises(RuntimeError, match="streamkit needs asyncio"):
        trio.run(serve)
    assert client.events == []


def test_several_loops_stream_at_the_same_time() -> None:
    """Nothing is bound to the first loop that was seen."""

    async def items() -> AsyncIterator[str]:
        for letter in "ab":
            await asyncio.sleep(0)
            yield letter

    bodies: list[bytes] = []

    def serve() -> None:
        for _ in range(5):
            bodies.append(run(stream(items())).body)
            bodies.append(run(stream(iter("ab"))).body)

    threads = [threading.Thread(target=serve) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert bodies == [b"data: a\n\ndata: b\n\n"] * 30


def test_source_of_another_loop_streams_under_a_running_loop() -> None:
    """A sync view called on a loop's thread still gets its async source from the background loop."""
    seen: list[object] = []

    async def items() -> AsyncIterator[str]:
        seen.append(running_loop())
        yield "a"

    async def view() -> bytes:
        return await asyncio.to_thread(WSGIClient(items()).read)

    assert run(view()) == b"data: a\n\n"
    assert seen == [background_loop()]


def test_no_loop_is_seen_where_none_runs() -> None:
    """Asking does not load asyncio either."""
    assert running_loop() is None
    out, _ = python(
        """
        import sys
        from streamkit._engine.threads import running_loop
        print(running_loop(), "asyncio" in sys.modules)
        """,
        prelude="",
    )
    assert out == "None False\n"
