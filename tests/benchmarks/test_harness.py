"""The arithmetic of the benchmarks: rounds, medians, ratios, verdicts, curves and tables. Nothing is timed here."""

import math
from functools import partial

import pytest

from benchmarks.growth import bends_upward
from benchmarks.harness import (
    Report,
    best_of,
    covered,
    medians,
    percentile,
    rounds,
    show,
    spread,
    table,
    verdicts,
)
from benchmarks.page import markdown
from benchmarks.targets import TARGETS, Target

AT_MOST = Target("a", "row", "what", most=2.5)
AT_LEAST = Target("b", "row", "what", least=3, unit="ms")


def test_rounds_visit_the_cases_in_turn_and_begin_each_one_later() -> None:
    """What the machine does beside falls on all cases alike, and none always follows the same."""
    visited: list[str] = []

    def visit(name: str) -> int:
        visited.append(name)
        return len(visited)

    found = rounds({name: partial(visit, name) for name in "abc"}, 4)
    assert "".join(visited) == "abcbcacababc"
    assert found == {"a": [1, 6, 8, 10], "b": [2, 4, 9, 11], "c": [3, 5, 7, 12]}


def test_a_figure_is_the_median_of_its_rounds() -> None:
    """One bad round moves it no further than to its neighbour."""
    assert medians({"a": [1.0, 2.0, 900.0], "b": [4.0, 2.0]}) == {"a": 2.0, "b": 3.0}


def test_spread_is_the_middle_half_as_a_share_of_the_median() -> None:
    """One round alone has none."""
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(1.0)
    assert spread([7.0]) == 0.0


def test_percentile_is_a_value_that_was_measured() -> None:
    """Nothing is interpolated, and the order does not matter."""
    values = [float(value) for value in range(100, 0, -1)]
    assert percentile(values, 99) == 100.0
    assert percentile(values, 50) == 51.0
    assert percentile([3.0], 99) == 3.0


def test_best_peer_is_the_lowest_among_those_named() -> None:
    """Our own figure is no peer's."""
    assert best_of({"ours": 1.0, "one": 3.0, "two": 2.0}, ["one", "two"]) == ("two", 2.0)


@pytest.mark.parametrize(
    ("target", "value", "verdict"),
    [
        (AT_MOST, 2.5, "met"),
        (AT_MOST, 2.500001, "not met"),
        (AT_LEAST, 3.0, "met"),
        (AT_LEAST, 2.999999, "not met"),
        (AT_MOST, math.nan, "not met"),
        (AT_LEAST, math.nan, "not met"),
        (AT_MOST, math.inf, "not met"),
    ],
)
def test_verdict_is_computed_from_the_figure(target: Target, value: float, verdict: str) -> None:
    """The bound itself is within it; what is no number is not."""
    assert target.verdict(value) == verdict


@pytest.mark.parametrize("bounds", [{}, {"most": 1.0, "least": 1.0}])
def test_target_has_exactly_one_bound(bounds: dict[str, float]) -> None:
    """Without a bound, everything would be met."""
    with pytest.raises(ValueError, match="needs one bound"):
        Target("a", "row", "what", **bounds)  # type: ignore[arg-type]


def test_figures_are_paired_with_their_targets_in_the_order_of_the_table() -> None:
    """Whatever order they were measured in."""
    first, second = TARGETS[0], TARGETS[1]
    assert covered({second.key: 2.0, first.key: 1.0}, [second.key, first.key]) == [(first, 1.0), (second, 2.0)]


@pytest.mark.parametrize("figures", [{}, {"token-floor": 1.0, "other": 1.0}])
def test_a_figure_that_is_missing_or_unasked_for_is_an_error(figures: dict[str, float]) -> None:
    """A benchmark that no longer measures what it should is not passed over."""
    with pytest.raises(ValueError, match="the figures are"):
        covered(figures, ["token-floor"])


def test_verdicts_show_figure_bound_and_unit() -> None:
    """Each beside the other."""
    assert verdicts([(AT_MOST, 3.14159), (AT_LEAST, 10.0)]) == [
        ["what", "3.14 x", "at most 2.5 x", "not met"],
        ["what", "10 ms", "at least 3 ms", "met"],
    ]


def test_report_is_printed_with_its_targets_and_notes(capsys: pytest.CaptureFixture[str]) -> None:
    """What is shown is what was measured."""
    show(Report("Title", ["", "ns"], [["a", "1"]], {"token-floor": 3.0}, ["A note."]), ["token-floor"])
    printed = capsys.readouterr().out
    assert "== Title" in printed
    assert "at most 2.5 x  not met" in printed
    assert printed.endswith("A note.\n")


def test_tables_align_and_keep_their_cells() -> None:
    """The first column to the left, figures to the right; the same in Markdown."""
    assert table(["", "ns"], [["one", "7"]]) == "     ns\none   7"
    assert markdown(["", "ns"], [["one", "7"]]) == "|  | ns |\n| --- | ---: |\n| one | 7 |"


@pytest.mark.parametrize(
    ("costs", "bends"), [([1, 1, 1, 1], False), ([9, 3, 1, 1], False), ([1, 1, 1, 1.6], True), ([1, 1, 9, 1], False)]
)
def test_a_curve_bends_upward_when_its_end_is_well_above_its_median(costs: list[float], bends: bool) -> None:
    """A cost of one unit that stays or falls is linear growth or better."""
    assert bends_upward([(10.0**power, cost) for power, cost in enumerate(costs)]) is bends
