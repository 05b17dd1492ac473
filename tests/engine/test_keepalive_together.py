"""Fillers of many silent streams on one loop: they leave together, and no stream holds another up."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

import streamkit
from streamkit import StreamPolicy
from streamkit._engine.clock import SYSTEM, Clock
from streamkit._engine.keepalive import Keepalive
from streamkit._engine.register import register
from tests.engine.drive import Client, block, run, start
from tests.engine.fake_clock import FakeClock, settle

WHO: ContextVar[Any] = ContextVar("who")


async def silence() -> Any:
    """Yield nothing, and wait."""
    await asyncio.Event().wait()
    yield


class Sender(Keepalive):
    """What sends for a stream, as far as fillers go."""

    def __init__(self, clock: Clock, fill: Callable[[], None]) -> None:
        super().__init__(15, clock, copy_context())
        self._fill = fill
        self.start_fillers()

    def filling(self, begun: float) -> Any:
        """Fill where it is stepped."""
        yield from ()
        self._fill()


async def open_silent(clock: FakeClock, *clients: Client, **policy: Any) -> list[asyncio.Task[None]]:
    """Open a silent stream for each of the clients."""
    tasks = [start(silence(), client, clock=clock, policy=StreamPolicy(**policy)) for client in clients]
    await settle()
    return tasks


async def close(clients: list[Client], tasks: list[asyncio.Task[None]]) -> None:
    """Let all clients leave."""
    for client in clients:
        client.leave()
    await asyncio.gather(*tasks)


def test_one_timer_serves_all_streams_of_a_loop() -> None:
    """Thousands of idle connections cost the loop one timer, and none is left when they have gone."""

    async def work() -> None:
        clock, clients = FakeClock(), [Client() for _ in range(30)]
        tasks = await open_silent(clock, *clients)
        for beats, seconds in enumerate((1, 15, 15), 1):
            assert len(clock.pending) == 1
            await clock.advance(seconds)
            assert {client.body for client in clients} == {b":\n" * beats}
        await close(clients[:1], tasks[:1])
        await clock.advance(15)
        assert {client.body for client in clients[1:]} == {b":\n" * 4}
        assert clients[0].body == b":\n" * 3
        await close(clients[1:], tasks[1:])
        assert clock.pending == []

    run(work())


def test_fillers_that_are_due_within_a_sixteenth_of_the_interval_leave_together() -> None:
    """A stream's filler never comes late, and at most by a sixteenth too early."""

    async def work() -> None:
        clock, clients = FakeClock(), [Client() for _ in range(4)]
        tasks = []
        for client in clients:  # at 0, 0.6, 1.2 and 1.8 s
            tasks += await open_silent(clock, client, keepalive=16)
            await clock.advance(0.6)
        await clock.advance(14)  # 16.4
        assert [client.body for client in clients] == [b":\n"] * 4
        await clock.advance(0.7)  # 17.1: the first was served at 1, and so is due at 17; it takes the second along
        assert [len(client.body) // 2 for client in clients] == [2, 2, 1, 1]
        await clock.advance(1.1)  # 18.2
        assert [len(client.body) // 2 for client in clients] == [2, 2, 2, 2]
        await close(clients, tasks)

    run(work())


def test_streams_that_sent_one_after_the_other_are_looked_at_together() -> None:
    """In whatever order they are looked at first, no stream comes to have a timer of its own for that."""

    async def work() -> None:
        clock = FakeClock()
        senders = [Sender(clock, lambda: None) for _ in range(50)]
        for sender in senders:
            await clock.advance(0.001)
            sender.last_sent = clock.now()
        await clock.advance(1)
        (rounds,) = register().rounds.values()
        looks = [time for time, group in rounds._groups.items() if group]
        assert len(looks) == 1
        for sender in senders:
            sender.stop_fillers()

    run(work())


def test_stream_that_opens_when_all_others_have_left_is_looked_at() -> None:
    """However soon it does: the group that the last of them was in is gone."""

    async def work() -> None:
        clock, filled = FakeClock(), list[int]()
        Sender(clock, lambda: filled.append(1)).stop_fillers()
        second = Sender(clock, lambda: filled.append(2))
        await clock.advance(1)
        assert filled == [2]
        second.stop_fillers()

    run(work())


def test_client_that_takes_its_filler_slowly_holds_nobody_up() -> None:
    """The others get theirs in the same moment; it gets its own, once, when it reads on."""

    async def work() -> None:
        clock, clients = FakeClock(), [Client() for _ in range(5)]
        tasks = await open_silent(clock, *clients, send_timeout=None)
        slow = clients[1:3]
        for client in slow:
            client.stop_reading()
        await clock.advance(1)
        assert [client.body for client in clients] == [b":\n", b"", b"", b":\n", b":\n"]
        await clock.advance(15)
        assert [client.body for client in clients] == [b":\n" * 2, b"", b"", b":\n" * 2, b":\n" * 2]
        for client in slow:
            client.read_on()
        await settle()
        assert {client.body for client in slow} == {b":\n"}
        await close(clients, tasks)

    run(work())


def test_client_that_never_takes_its_filler_is_given_up_and_no_other() -> None:
    """`send_timeout` holds for a filler, too, and ends the one stream alone."""

    async def work() -> None:
        clock, clients = FakeClock(), [Client() for _ in range(3)]
        tasks = await open_silent(clock, *clients)
        clients[1].stop_reading()
        await clock.advance(31)
        with pytest.raises(streamkit.StreamCutError):
            await tasks[1]
        assert [client.body for client in clients] == [b":\n" * 3, b"", b":\n" * 3]
        await close([clients[0], clients[2]], [tasks[0], tasks[2]])

    run(work())


def test_fillers_of_many_streams_give_the_loop_its_turns() -> None:
    """After a millisecond of fillers whatever else there is to do on the loop comes first."""

    async def work() -> None:
        clock, order = FakeClock(), [""]

        class Costly(Client):
            async def send(self, event: Any) -> None:
                await super().send(event)
                if event.get("body"):
                    block()
                    order[0] += "f"

        async def others() -> None:
            while True:
                order[0] += "." * (not order[0].endswith("."))
                await asyncio.sleep(0)

        clients: list[Client] = [Costly() for _ in range(4)]
        tasks = await open_silent(clock, *clients)
        other = asyncio.create_task(others())
        await clock.advance(1)
        other.cancel()
        assert order[0].strip(".") == "f.f.f.f"
        await close(clients, tasks)

    run(work())


def test_filler_is_sent_in_the_context_of_its_own_stream() -> None:
    """What wraps `send` and looks at a ContextVar, as a logger of requests does, sees that of the right request."""

    async def work() -> None:
        clock, seen = FakeClock(), []

        class Looking(Client):
            async def send(self, event: Any) -> None:
                if event.get("body"):
                    seen.append((WHO.get(), self.name))
                    await asyncio.sleep(0)
                    seen.append((WHO.get(), self.name))
                await super().send(event)

            def __init__(self, name: str) -> None:
                super().__init__()
                self.name = name

        clients, tasks = [Looking(name) for name in "abc"], []
        for client in clients:
            WHO.set(client.name)
            tasks += await open_silent(clock, client)
        WHO.set("nobody")
        await clock.advance(1)
        assert sorted(seen) == [("a", "a"), ("a", "a"), ("b", "b"), ("b", "b"), ("c", "c"), ("c", "c")]
        await close(list(clients), tasks)

    run(work())


def test_context_of_a_stream_that_is_over_is_let_go_while_others_go_on() -> None:
    """The timer that all share keeps nothing of the request that set it."""

    class Session:
        """What a request keeps in a ContextVar."""

    async def work() -> None:
        session = Session()
        gone = weakref.ref(session)
        token = WHO.set(session)
        first = Sender(SYSTEM, lambda: None)
        WHO.reset(token)
        second = Sender(SYSTEM, lambda: None)
        first.stop_fillers()
        del token, session, first
        gc.collect()
        assert gone() is None
        second.stop_fillers()

    run(work())


def test_filler_that_fails_keeps_no_other_from_leaving() -> None:
    """A defect shows as the error of its task, and the rest of the round is served."""

    async def work() -> None:
        clock, filled, errors = FakeClock(), [], []
        asyncio.get_running_loop().set_exception_handler(lambda _, found: errors.append(found["exception"]))

        def fail() -> None:
            raise ValueError("broken")

        def fill() -> None:
            filled.append(1)

        kept = [Sender(clock, each) for each in (fill, fail, fill)]
        await clock.advance(1)
        gc.collect()
        assert (filled, [str(error) for error in errors]) == ([1, 1], ["broken"])
        for each in kept:
            each.stop_fillers()

    run(work())


def test_stream_that_ends_in_the_middle_of_a_round_gets_no_filler() -> None:
    """Whatever is set off by the filler of another stream may end it."""

    async def work() -> None:
        clock, filled, kept = FakeClock(), [], list[Keepalive]()

        def fill() -> None:
            filled.append(1)
            for each in kept:
                each.stop_fillers()

        kept += [Sender(clock, fill) for _ in range(3)]
        await clock.advance(20)
        assert filled == [1]
        assert clock.pending == []

    run(work())


def test_nothing_is_kept_of_a_loop_whose_streams_are_over() -> None:
    """A process that makes many loops, as one for each test, keeps none of them."""

    async def work() -> None:
        clients = [Client(), Client()]
        tasks = [start(silence(), client) for client in clients]
        await settle()
        assert len(register().rounds) == before + 1
        await close(clients, tasks)

    gc.collect()
    before = len(register().rounds)
    run(work())
    gc.collect()
    assert len(register().rounds) == before
