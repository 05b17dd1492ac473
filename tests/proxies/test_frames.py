"""Frame by frame through each proxy: by default, with compression, and as docs/deploy recommends it.

What a setup is built to do is declared in `setups`; here it is seen to be so, for streamkit's responses and for
responses without its headers, so that the pages claim neither too much for the headers nor too little.
"""

from __future__ import annotations

import pytest

from tests.proxies.arrivals import IMPATIENCE, PATIENCE, follow
from tests.proxies.conftest import Through
from tests.proxies.running import cases
from tests.proxies.setups import SETUPS, Mechanism, Setup

pytestmark = pytest.mark.servers

FRAMES = 6
LARGE = 5000


def _patience(expected: Mechanism) -> float:
    return PATIENCE if expected == "streamed" else IMPATIENCE


def _meets(through: Through, name: str, path: str, *, bare: bool, bulk: bool) -> None:
    way = through(name)
    expected = way.setup.meets(bare=bare, bulk=bulk)
    with way.ask(path, frames=FRAMES, bare=bare, size=LARGE if bulk else 30) as client:
        assert follow(client, way.door, FRAMES, patience=_patience(expected)) == expected
        assert client.compressed == (way.setup.compresses in ({"all", "bare"} if bare else {"all"}))


@pytest.mark.parametrize("path", ["/sse", "/ndjson"])
@cases(lambda setup: not setup.cuts)
def test_response_of_streamkit_meets_what_the_setup_is_built_to_do(through: Through, name: str, path: str) -> None:
    """Each frame arrives before the next has left, or is held back in the declared way."""
    _meets(through, name, path, bare=False, bulk=False)


@cases(lambda setup: not setup.cuts)
def test_large_frames_meet_what_the_setup_is_built_to_do(through: Through, name: str) -> None:
    """No frame of 5 KB waits for its tail, or it does so in the declared way."""
    _meets(through, name, "/sse", bare=False, bulk=True)


@pytest.mark.parametrize("bulk", [False, True], ids=["small", "large"])
@cases(lambda setup: not setup.cuts and (setup.bare or setup.bare_bulk or setup.compresses == "bare"))
def test_response_without_the_headers_meets_worse(through: Through, name: str, bulk: bool) -> None:
    """What the headers of streamkit are said to prevent happens where they are not sent."""
    _meets(through, name, "/sse", bare=True, bulk=bulk)


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
        assert {setup.meets(bare=False, bulk=bulk) for bulk in (False, True)} == {"streamed"}


def test_every_defect_that_no_header_cures_has_a_cure() -> None:
    """A setup that does anything but stream, by more than silence, names one that differs by the cure."""
    for name, setup in SETUPS.items():
        assert (setup.mechanism in {"streamed", "idle-cut"}) == (setup.cure is None), name
        assert setup.cure is None or setup.cure in SETUPS, name


@cases(lambda setup: setup.replays)
def test_recording_is_replayed_only_without_cache_control(through: Through, name: str) -> None:
    """A bare response is stored and sent again to the next client; streamkit's is asked for anew."""
    way = through(name)
    for bare in (False, True):
        way.door.reset()
        way.door.allow(FRAMES)
        stamps = []
        for _ in range(2):
            with way.ask(frames=FRAMES, bare=bare) as client:
                client.read_to_end()
                stamps.append([frame.emitted for frame in client.frames])
        assert (stamps[0] == stamps[1]) == bare
        assert len(stamps[1]) == FRAMES
