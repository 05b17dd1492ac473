"""What the judges of the endurance run make of what a server holds, and of a count."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from streamkit import Event
from tests.chaos.resting import excess, growth
from tests.chaos.visitors import COUNT, Counting
from tests.rig.resources import Resources

WARM = Resources(threads=11, tasks=2, fds=30, rss=100 << 20, generators=0, blocks=100_000)


def test_a_server_that_holds_what_it_held_has_not_grown() -> None:
    """What there was more of in between, and less of in the end, is no growth; nor are a pool and a little memory."""
    rests = [
        WARM,
        WARM,
        replace(WARM, fds=99, tasks=5),
        replace(WARM, threads=16, fds=46, rss=104 << 20, blocks=102_000),
    ]
    assert growth(rests) == []


@pytest.mark.parametrize(
    "more",
    [
        {"threads": 17},
        {"tasks": 3},
        {"fds": 47},
        {"generators": 1},
        {"streams": 1},
        {"heap": 3 << 20},
        {"blocks": 102_001},
    ],
)
def test_more_of_anything_is_growth(more: dict[str, int]) -> None:
    """Each is named, with what it was after each round."""
    ((name, value),) = more.items()
    grown = replace(WARM, **more)
    assert growth([WARM, WARM, grown]) == [f"{name}: {[getattr(WARM, name)] * 2 + [value]}"]


def test_memory_that_grows_in_the_second_half_of_a_long_run_is_growth() -> None:
    """Not what the greatest crowd has left, whenever that was before."""
    more, most = replace(WARM, rss=120 << 20), replace(WARM, rss=127 << 20)
    assert growth([WARM, WARM, more, more]) == []
    assert growth([WARM, WARM, WARM, more, more, more, more, more]) == []
    (found,) = growth([WARM, WARM, WARM, more, more, more, more, most])
    assert found.startswith("rss: ")


def test_what_is_there_after_the_second_round_is_kept_on_purpose() -> None:
    """A task that was needed for the first time then is no growth; one more in the third round is."""
    more = replace(WARM, tasks=4)
    assert growth([WARM, more, more]) == []
    assert growth([WARM, more, replace(WARM, tasks=5)]) == ["tasks: [2, 4, 5]"]


def test_what_clients_that_left_still_hold_is_waited_for() -> None:
    """Before the warm-up has ended that is nothing but streams and their generators."""
    assert excess(replace(WARM, generators=1), [])
    assert excess(replace(WARM, streams=1), [])
    assert excess(replace(WARM, tasks=3), [WARM, WARM])
    assert not excess(replace(WARM, tasks=3), [WARM])
    assert not excess(replace(WARM, tasks=1), [WARM, WARM])


@pytest.mark.parametrize(
    ("numbers", "faults"), [([1, 2, 3], ()), ([1, 3, 4], (3,)), ([1, 2, 2, 3], (2,)), ([2, 3], (2,)), ([1, 2, 1], (1,))]
)
def test_number_that_is_not_the_next_is_a_fault(numbers: list[int], faults: tuple[int, ...]) -> None:
    """Lost, doubled or out of order: a count that is read slowly has none of these."""
    visitor = Counting([1], COUNT, random.Random(0))
    for number in numbers:
        visitor.take(Event(number, id=number))
    (verdict,) = visitor.verdicts({})
    assert verdict.disordered == faults
    assert verdict.faults == len(faults)
