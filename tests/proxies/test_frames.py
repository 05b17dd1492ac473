"""Frame by frame through each proxy: by default, with compression, and as docs/deploy recommends it.

What a setup is built to do is declared in `setups`; here it is seen to be so, for streamkit's responses and for
responses without its headers, so that the pages claim neither too much for the headers nor too little.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.proxies.arrivals import follow
from tests.proxies.conftest import Through
from tests.proxies.running import cases
from tests.proxies.setup import Mechanism, Setup
from tests.proxies.setups import SETUPS

pytestmark = pytest.mark.servers

FRAMES: dict[Mechanism, int] = {"whole-body": 3, "byte-quantum": 8}
"""How many, where not five: each one that is held costs time; and enough for 16 KB to be there before the last."""
RECORDED = 3
LARGE = 5000


def _follow(through: Through, name: str, expected: Mechanism, **order: Any) -> bool:
    """See what a setup does to a stream; return whether it came compressed."""
    way = through(name)
    frames = FRAMES.get(expected, 5)
    with way.ask(frames=frames, **order) as client:
        assert follow(client, way.door, frames, expected) == expected
        return client.compressed


@cases(lambda setup: not setup.cuts)
def test_event_stream_meets_what_the_setup_is_built_to_do(through: Through, name: str) -> None:
    """Each event arrives before the next has left, or is held back in the declared way."""
    setup = SETUPS[name]
    assert _follow(through, name, setup.mechanism) == (setup.compresses == "all")


@cases(lambda setup: not setup.cuts)
def test_ndjson_meets_what_the_setup_is_built_to_do(through: Through, name: str) -> None:
    """Each line arrives before the next has left, or is held back in the declared way."""
    setup = SETUPS[name]
    _follow(through, name, setup.ndjson or setup.mechanism, path="/ndjson")


@cases(lambda setup: not setup.cuts)
def test_large_events_meet_what_the_setup_is_built_to_do(through: Through, name: str) -> None:
    """No event of 5 KB waits for its tail, or it does so in the declared way."""
    _follow(through, name, SETUPS[name].meets(bulk=True), size=LARGE)


@pytest.mark.parametrize("bulk", [False, True], ids=["small", "large"])
@cases(lambda setup: not setup.cuts)
def test_event_stream_without_the_headers_meets_what_is_declared(through: Through, name: str, bulk: bool) -> None:
    """What the headers of streamkit are said to prevent happens where they are not sent, and nothing else."""
    setup = SETUPS[name]
    expected = setup.meets(bare=True, bulk=bulk)
    compressed = _follow(through, name, expected, bare=True, size=LARGE if bulk else 30)
    assert compressed == (setup.compresses in {"all", "bare"})


def _is_cure(setup: Setup) -> bool:
    return any(other.cure and SETUPS[other.cure] is setup for other in SETUPS.values())


def test_every_cure_and_recommendation_streams() -> None:
    """What a page advises to write lets small and large frames through, one by one."""
    advised = {
        name: setup
        for name, setup in SETUPS.items()
        if not setup.cuts and (_is_cure(setup) or name.endswith("-recommended"))
    }
    assert len(advised) > 10
    for setup in advised.values():
        assert setup.streams


def test_every_defect_that_no_header_cures_has_a_cure() -> None:
    """A setup that does anything but stream, by more than silence, names one that differs by the cure."""
    for name, setup in SETUPS.items():
        assert setup.streams == (setup.cure is None), name
        assert setup.cure is None or SETUPS[setup.cure].streams, name


@cases(lambda setup: setup.replays)
def test_recording_is_replayed_only_without_cache_control(through: Through, name: str) -> None:
    """A bare response is stored and sent again to the next client; streamkit's is asked for anew."""
    way = through(name)
    for bare in (False, True):
        way.door.reset()
        way.door.allow(RECORDED)
        stamps = []
        for _ in range(2):
            with way.ask(frames=RECORDED, bare=bare, nonce=0) as client:
                client.read_to_end()
                stamps.append([frame.emitted for frame in client.frames])
        assert (stamps[0] == stamps[1]) == bare
        assert len(stamps[1]) == RECORDED
