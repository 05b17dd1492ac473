"""The shape of arrivals, for each path and rate; and no alarm for what a network or a busy machine does by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.doctor._battery import SECOND_ROUND, VARIANTS
from streamkit.doctor._shape import shape
from tests.doctor.simulated import (
    Pairs,
    Path,
    jitter,
    observe,
    one_late,
    pieces,
    slow_line,
    tail_of,
    through,
    timer,
    whole,
)

ASKED = {asking.variant.name: asking for asking in (*VARIANTS, *SECOND_ROUND)}

CASES = [
    ("plain", through, "streamed"),
    ("bulk", through, "streamed"),
    ("large", through, "streamed"),
    ("plain", whole, "whole"),
    ("bulk", whole, "whole"),
    ("plain", pieces(4096), "whole"),
    ("plain", pieces(500), "batched"),
    ("bulk", pieces(16_384), "batched"),
    ("bulk", pieces(65_536), "batched"),
    ("plain", timer(0.2), "batched"),
    ("bulk", timer(0.2), "batched"),
    ("plain", timer(1.0), "batched"),
    ("long", timer(2.0), "batched"),
    ("plain", one_late, "lag"),
    ("large", one_late, "lag"),
    ("large", tail_of(4096), "lag"),
    ("plain", slow_line(50_000), "streamed"),
    ("bulk", slow_line(80_000), "unclear"),
    ("large", slow_line(200_000), "streamed"),
]


@pytest.mark.parametrize(("name", "path", "kind"), CASES)
def test_path_has_its_shape(name: str, path: Path, kind: str) -> None:
    """Each path is known by the arrivals alone."""
    assert shape(observe(ASKED[name], path)).kind == kind


@pytest.mark.parametrize("name", ["plain", "bulk", "large"])
@given(seed=st.integers(0, 10_000), stall=st.sampled_from([0.0, 0.15, 0.4]))
def test_jitter_and_one_stall_are_no_buffer(name: str, seed: int, stall: float) -> None:
    """Delays by chance, and one hiccup, leave a stream a stream."""
    assert shape(observe(ASKED[name], jitter(seed, 0.03, stall))).kind == "streamed"


@pytest.mark.parametrize(("name", "most"), [("plain", 20), ("bulk", 0)])
def test_bad_line_is_rarely_taken_for_a_buffer(name: str, most: int) -> None:
    """Delays by chance of up to 0.3 s bunch events too, but by no size and no beat; of 200 lines few look so."""
    seen = [shape(observe(ASKED[name], jitter(seed, 0.3))).kind for seed in range(200)]
    assert seen.count("batched") + seen.count("whole") <= most


def test_hiccup_of_the_last_frame_hides_no_lag() -> None:
    """The first bytes of every frame tell how quick the path is, not the last frame alone."""

    def path(sent: Pairs, end: float) -> Pairs:
        return [(at + 0.07 if at > sent[-1][0] else at, size) for at, size in tail_of(4096)(sent, end)]

    assert shape(observe(ASKED["large"], path)).kind == "lag"


def test_body_that_takes_a_while_to_come_is_whole_all_the_same() -> None:
    """All of it was kept to the end, and then a busy machine took a while to read it."""

    def path(sent: Pairs, end: float) -> Pairs:
        return [(end + 0.19 * (at - sent[0][0]), size) for at, size in sent]

    assert shape(observe(ASKED["huge"], path)).kind == "whole"
    assert shape(observe(ASKED["plain"], path)).kind == "whole"


def test_three_frames_are_too_few() -> None:
    """What is cut after its third frame is not judged."""
    assert shape(observe(ASKED["plain"], stop=0.5)).kind == "few"


def test_size_of_a_batch_is_that_of_the_buffer() -> None:
    """The evidence shows the bytes that the proxy was set to."""
    found = shape(observe(ASKED["bulk"], pieces(16_384)))
    assert (found.size, found.together > 10) == (16_384, True)
    assert found.regular_sizes < 0.05


def test_delay_is_that_of_the_timer() -> None:
    """The longest delay of a frame is the time that it was made to wait."""
    assert shape(observe(ASKED["bulk"], timer(0.25))).worst == pytest.approx(0.25, abs=0.01)
