"""Signals of a shutdown, each in a process of its own: the streams hear of it, and so does the server."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator

from streamkit import StreamPolicy, drain_on_signals
from streamkit._engine.signals import Chained
from tests.engine.drive import WSGIClient, run, stream
from tests.engine.interpreter import GEVENT, PRELUDE, python

SERVER = (
    PRELUDE
    + """
import signal
import streamkit
from streamkit import Event, StreamCutError
heard, told = [], []
def handler(signum, frame):
    heard.append(signal.Signals(signum).name)
def on_close(reason, stats):
    told.append(reason)
def soon(holds):
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.001)
async def silent():
    yield Event("a", id=1)
    await asyncio.Event().wait()
CUT = StreamPolicy(drain="cut")
"""
)


def shell(code: str, prelude: str = "") -> str:
    """Run code in the process of a server; return what it wrote."""
    out, err = python(code, prelude=prelude + SERVER)
    assert err == ""
    return out


def test_server_can_still_be_found_by_its_handler() -> None:
    """Others look for it there: sse-starlette ends its streams when that server says so."""

    class Server:
        def handle_exit(self, signum: int, frame: object) -> None:
            """Do nothing."""

    server = Server()
    assert Chained(server.handle_exit).__self__ is server
    assert not hasattr(Chained(lambda signum, frame: None), "__self__")


def test_signal_drains_the_streams_and_reaches_the_server() -> None:
    """Whichever of the two it is; what is opened later is told too."""
    out = shell("""
        for number in signal.SIGTERM, signal.SIGINT:
            signal.signal(number, handler)
        body = opened(silent(), policy=CUT, on_close=on_close)
        next(body), next(body)
        os.kill(os.getpid(), signal.SIGTERM)
        rest = b"".join(body)
        body.close()
        assert rest.startswith(b"retry: "), rest
        late = opened(silent(), policy=CUT, on_close=on_close)
        assert b"retry: " in b"".join(late)
        late.close()
        os.kill(os.getpid(), signal.SIGINT)
        print(heard, told)
        """)
    assert out == "['SIGTERM', 'SIGINT'] ['drained', 'drained']\n"


def test_second_signal_ends_all_streams_at_once() -> None:
    """Whoever presses Ctrl-C twice does not wait for an answer to be finished."""
    out = shell("""
        signal.signal(signal.SIGINT, handler)
        body = opened(silent(), policy=StreamPolicy(drain="finish", grace=1000), on_close=on_close)
        next(body), next(body)
        life = body._stream.life
        os.kill(os.getpid(), signal.SIGINT)
        soon(lambda: life.draining)
        assert not life.ending
        os.kill(os.getpid(), signal.SIGINT)
        try:
            b"".join(body)
        except StreamCutError:
            print("cut")
        body.close()
        print(heard, told)
        """)
    assert out == "cut\n['SIGINT', 'SIGINT'] ['drained']\n"


def test_handlers_that_are_no_server_s_are_left_alone() -> None:
    """The default, what is ignored, Python's own for Ctrl-C, and what asyncio makes of that."""
    out = shell("""
        for before in signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler:
            signal.signal(signal.SIGTERM, before), signal.signal(signal.SIGINT, before)
            assert read(async_items()) == WHOLE
            assert signal.getsignal(signal.SIGTERM) is signal.getsignal(signal.SIGINT) is before

        async def main():
            during = signal.getsignal(signal.SIGINT)
            streamkit.drain_on_signals()
            assert signal.getsignal(signal.SIGINT) is during is not signal.default_int_handler

        asyncio.run(main())
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        print("left alone")
        """)
    assert out == "left alone\n"


def test_handler_is_wrapped_once_and_again_when_the_server_sets_another() -> None:
    """However many streams there are."""
    out = shell("""
        from streamkit._engine.signals import Chained
        signal.signal(signal.SIGTERM, handler)
        for _ in range(3):
            read(sync_items())
        chained = signal.getsignal(signal.SIGTERM)
        assert isinstance(chained, Chained) and chained.before is handler
        other = lambda signum, frame: heard.append("other")
        signal.signal(signal.SIGTERM, other)
        read(sync_items())
        assert signal.getsignal(signal.SIGTERM).before is other
        os.kill(os.getpid(), signal.SIGTERM)
        print(heard)
        """)
    assert out == "['other']\n"


def test_other_threads_than_the_main_one_change_nothing() -> None:
    """Python lets only the main thread set a handler; a stream elsewhere starts all the same."""
    out = shell("""
        signal.signal(signal.SIGTERM, handler)
        got = []
        thread = threading.Thread(target=lambda: got.append(read(sync_items())))
        thread.start()
        thread.join(10)
        assert got == [WHOLE]
        assert signal.getsignal(signal.SIGTERM) is handler
        streamkit.drain_on_signals()
        assert signal.getsignal(signal.SIGTERM).before is handler
        print("unchanged")
        """)
    assert out == "unchanged\n"


def test_handler_of_an_event_loop_still_runs() -> None:
    """A loop hears of signals by a file descriptor, beside the handler."""
    out = shell("""
        from streamkit.asgi import EventStreamResponse as Response

        async def main():
            loop, stopped, sent = asyncio.get_running_loop(), asyncio.Event(), []
            loop.add_signal_handler(signal.SIGTERM, stopped.set)
            async def send(event):
                sent.append(event)
            scope = {"type": "http", "method": "GET", "headers": []}
            response = Response(silent(), policy=CUT, on_close=on_close)
            serving = asyncio.create_task(response(scope, asyncio.Event().wait, send))
            while len(sent) < 3:
                await asyncio.sleep(0.001)
            os.kill(os.getpid(), signal.SIGTERM)
            async with asyncio.timeout(10):
                await stopped.wait()
                await serving
            assert sent[-1]["more_body"] is False
            assert sent[-2]["body"].startswith(b"retry: ")
            loop.remove_signal_handler(signal.SIGTERM)

        asyncio.run(main())
        print(told)
        """)
    assert out == "['drained']\n"


def test_forked_worker_hears_its_own_signal() -> None:
    """It has the parent's handler and streams of its own; also what it opens after the signal ends."""
    out = shell("""
        signal.signal(signal.SIGTERM, handler)
        read(async_items())
        pid = os.fork()
        if not pid:
            os.kill(os.getpid(), signal.SIGTERM)
            assert heard == ["SIGTERM"]
            body = opened(silent(), policy=CUT)
            assert b"retry: " in b"".join(body)
            body.close()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert heard == []
        body = opened(silent(), policy=CUT)
        next(body)
        assert next(body).startswith(b"id: 1")
        body.close()
        print("told apart")
        """)
    assert out == "told apart\n"


def test_signal_is_heard_under_gevent() -> None:
    """Where the thread that tells the streams is a greenlet."""
    out = shell(
        """
        signal.signal(signal.SIGTERM, handler)
        def sync_silent():
            yield Event("a", id=1)
            gevent.sleep(60)
        bodies = [opened(source(), policy=CUT, on_close=on_close) for source in (silent, sync_silent)]
        for body in bodies:
            next(body), next(body)
        readers = [gevent.spawn(b"".join, body) for body in bodies]
        gevent.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        with gevent.Timeout(10):
            rest = [reader.get() for reader in readers]
        assert all(chunk.startswith(b"retry: ") for chunk in rest), rest
        for body in bodies:
            body.close()
        print(heard, told)
        """,
        prelude=GEVENT,
    )
    assert out == "['SIGTERM'] ['drained', 'drained']\n"


def test_server_hears_of_the_signal_although_no_thread_can_be_had() -> None:
    """At the limit of the system, or while the interpreter shuts down."""
    out = shell("""
        import _thread
        signal.signal(signal.SIGTERM, handler)
        streamkit.drain_on_signals()
        def none_left(*args):
            raise RuntimeError("can't start new thread")
        _thread.start_new_thread = none_left
        os.kill(os.getpid(), signal.SIGTERM)
        print(heard)
        """)
    assert out == "['SIGTERM']\n"


def test_chained_handler_in_this_process() -> None:
    """The same by hand: the first call drains, an insistent second ends, and both reach the handler before."""
    heard: list[int] = []
    chained = Chained(lambda signum, frame: heard.append(signum))
    previous = signal.getsignal(signal.SIGTERM)
    try:
        signal.signal(signal.SIGTERM, chained.before)
        drain_on_signals()
        drain_on_signals()
        installed = signal.getsignal(signal.SIGTERM)
        assert isinstance(installed, Chained)
        gate = threading.Event()

        async def items() -> AsyncIterator[str]:
            yield "a"
            await asyncio.to_thread(gate.wait, 5)

        client = WSGIClient(items(), policy=StreamPolicy(grace=1000))
        next(client.body)
        life = client.body._stream.life
        for signum, flag in (signal.SIGTERM, "draining"), (signal.SIGINT, "ending"):
            installed(signum, None)
            while not getattr(life, flag):
                threading.Event().wait(0.001)
        gate.set()
        client.close()
        assert heard == [signal.SIGTERM, signal.SIGINT]
        run(stream(["a"]))
    finally:
        signal.signal(signal.SIGTERM, previous)
