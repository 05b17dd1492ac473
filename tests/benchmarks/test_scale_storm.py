"""The simulation of a restart, by hand: each case is small enough to be worked out on paper."""

from __future__ import annotations

import pytest

from benchmarks.scale.storm import Storm, deviation, simulate, tenths


def test_clients_that_were_told_nothing_come_at_one_moment_and_wait_in_a_queue() -> None:
    """Ten come after three seconds and take 50 ms each: the last is served after half a second."""
    outcome = simulate(Storm(10, retry=(3.0, 3.0), service=0.05))
    assert list(outcome.attempts) == [3.0] * 10
    assert outcome.begun == pytest.approx([3.05 + 0.05 * place for place in range(10)])
    assert outcome.longest == pytest.approx(0.45)
    assert outcome.peak == 10
    assert outcome.refused == 0


def test_client_that_is_refused_waits_as_long_again() -> None:
    """With a second of retry and 2.5 seconds of nobody there: refused after one and two, let in after three."""
    outcome = simulate(Storm(4, retry=(1.0, 1.0), down=2.5, service=0.0))
    assert outcome.refused == 8
    assert list(outcome.begun) == [3.0] * 4


def test_clients_are_cut_off_one_after_the_other() -> None:
    """A worker that ends four streams in two seconds ends one each half."""
    outcome = simulate(Storm(4, retry=(1.0, 1.0), leaving=2.0, service=0.0))
    assert list(outcome.attempts) == [1.5, 2.0, 2.5, 3.0]


def test_who_comes_after_the_queue_is_gone_does_not_wait() -> None:
    """A worker is free again when it has served those before."""
    outcome = simulate(Storm(3, retry=(1.0, 1.0), leaving=3.0, service=0.25))
    assert list(outcome.begun) == [2.25, 3.25, 4.25]
    assert outcome.longest == 0.0


def test_jitter_and_retry_add_up_to_the_wait_of_each() -> None:
    """Nobody comes before the least of both or after the most, and they are spread evenly in between."""
    outcome = simulate(Storm(4_000, retry=(1.0, 3.0), jitter=(1.0, 1.0), service=0.0))
    assert 2.0 <= outcome.attempts[0] < 2.1
    assert 3.9 < outcome.attempts[-1] <= 4.0
    counts = tenths(outcome.attempts)[20:40]
    assert min(counts) > 140
    assert max(counts) < 260


def test_several_workers_share_the_clients() -> None:
    """Each is at any of them, so all are served, in less time than by one and in more than by a perfect share."""
    alone = simulate(Storm(1_000, retry=(1.0, 1.0), service=0.01))
    shared = simulate(Storm(1_000, retry=(1.0, 1.0), service=0.01, workers=10))
    assert len(shared.begun) == 1_000
    assert list(shared.begun) == sorted(shared.begun)
    assert 1.0 + 1_000 * 0.01 / 10 < shared.begun[-1] < alone.begun[-1] == pytest.approx(11.0)


def test_capacity_is_what_all_workers_can_take_in_a_second() -> None:
    """Four workers that need two milliseconds take 2,000."""
    assert Storm(1, retry=(1.0, 1.0), service=0.002, workers=4).capacity == pytest.approx(2_000)


def test_same_seed_draws_the_same_waits() -> None:
    """And another one others, so that a table can be held against what is printed."""
    storm = Storm(50, jitter=(1.0, 5.0))
    assert simulate(storm) == simulate(storm)
    assert simulate(storm).attempts != simulate(storm, seed=2).attempts


def test_clients_that_would_not_wait_are_refused() -> None:
    """They would be refused for ever while nobody listens."""
    with pytest.raises(ValueError, match=r"retry=\(0.0, 0.0\)"):
        Storm(1, retry=(0.0, 0.0), jitter=(0.0, 4.0))


def test_moments_are_counted_in_the_tenth_in_which_they_lie() -> None:
    """Also where a tenth has no exact number of its own."""
    assert tenths([0.0, 0.05, 0.1, 0.3, 0.7]) == [2, 1, 0, 1, 0, 0, 0, 1]


def test_deviation_is_the_largest_distance_of_the_sums() -> None:
    """Two of four that come a tenth late are half of all; where they come at once, nothing is."""
    assert deviation([4], [4, 0]) == 0.0
    assert deviation([4], [2, 2]) == 0.5
    assert deviation([0, 4], [1, 2, 1]) == 0.25


def test_deviation_of_other_numbers_of_clients_is_refused() -> None:
    """It would say nothing."""
    with pytest.raises(ValueError, match="4 and 3 are not as many"):
        deviation([4], [3])
