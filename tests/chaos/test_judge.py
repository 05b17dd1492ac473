"""What the judge of the chaos test makes of a history: what is lost, what came twice, what was told."""

from __future__ import annotations

import pytest

from tests.chaos.judge import GAP, History, Verdict, judge

# history, last number, numbers without an answer -> verdict
CASES: dict[str, tuple[History, int, set[int], Verdict]] = {
    "all": ([1, 2, 3], 3, set(), Verdict(3)),
    "nothing was published": ([], 0, set(), Verdict(0)),
    "told": ([1, GAP, 4], 4, set(), Verdict(2, told=(2, 3), gaps=1)),
    "told twice": ([1, GAP, GAP, 4], 4, set(), Verdict(2, told=(2, 3), gaps=2)),
    "told before the first": ([GAP, 3], 3, set(), Verdict(1, told=(1, 2), gaps=1)),
    "a gap without a loss": ([1, GAP, 2], 2, set(), Verdict(2, gaps=1)),
    "two losses, each told": ([1, GAP, 3, GAP, 5], 5, set(), Verdict(3, told=(2, 4), gaps=2)),
    "silent loss": ([1, 3], 3, set(), Verdict(2, lost=(2,))),
    "silent loss at the start": ([2, 3], 3, set(), Verdict(2, lost=(1,))),
    "silent loss at the end": ([1], 3, set(), Verdict(1, lost=(2, 3))),
    "a gap at the end, and nothing after it": ([1, GAP], 2, set(), Verdict(1, gaps=1, lost=(2,))),
    "the gap came too early": ([1, GAP, 2, 4], 4, set(), Verdict(3, gaps=1, lost=(3,))),
    "the gap came too late": ([1, 3, GAP, 4], 4, set(), Verdict(3, gaps=1, lost=(2,))),
    "nothing came": ([], 2, set(), Verdict(0, lost=(1, 2))),
    "twice in a row": ([1, 1, 2], 2, set(), Verdict(2, duplicates=(1,))),
    "twice, later": ([1, 2, 3, 2, 3], 3, set(), Verdict(3, duplicates=(2, 3))),
    "twice, with a gap, though it was answered": ([1, 2, GAP, 2, 3], 3, set(), Verdict(3, gaps=1, duplicates=(2,))),
    "twice, unanswered, without a gap": ([1, 2, 2, 3], 3, {2}, Verdict(3, duplicates=(2,))),
    "published again": ([1, 2, GAP, 2, 3], 3, {2}, Verdict(3, gaps=1, published_again=(2,))),
    "published again, and what came before was lost": (
        [1, GAP, 3, GAP, 3, 4],
        4,
        {3},
        Verdict(3, told=(2,), gaps=2, published_again=(3,)),
    ),
    "published again twice": ([1, GAP, 1, GAP, 1], 1, {1}, Verdict(1, gaps=2, published_again=(1, 1))),
    "published again, and a third time without a gap": (
        [1, GAP, 1, 1],
        1,
        {1},
        Verdict(1, gaps=1, published_again=(1,), duplicates=(1,)),
    ),
    "a gap before what was published again tells of nothing after it": (
        [1, GAP, 1, 3],
        3,
        {1},
        Verdict(2, gaps=1, published_again=(1,), lost=(2,)),
    ),
    "out of order": ([1, 3, 2], 3, set(), Verdict(3, disordered=(2,))),
    "out of order, and told as missing": ([1, GAP, 3, 2], 3, set(), Verdict(3, gaps=1, disordered=(2,))),
    "never published": ([1, 2, 7], 2, set(), Verdict(2, foreign=(7,))),
}


@pytest.mark.parametrize("name", CASES)
def test_history_is_judged(name: str) -> None:
    """Each history has the verdict that the table gives."""
    history, last, unanswered, verdict = CASES[name]
    assert judge(history, last, unanswered) == verdict


def test_each_number_is_delivered_told_or_lost() -> None:
    """No verdict leaves a number out, or counts one twice."""
    for history, last, unanswered, _ in CASES.values():
        verdict = judge(history, last, unanswered)
        assert verdict.delivered + len(verdict.told) + len(verdict.lost) == last


def test_what_nobody_may_do_is_a_fault() -> None:
    """Losses in silence, duplicates, disorder and inventions are faults; what was told or published again is none."""
    faulty = {name for name, (*_, verdict) in CASES.items() if verdict.faults}
    assert {"silent loss", "twice, later", "out of order", "never published", "the gap came too late"} <= faulty
    assert not {"all", "told", "a gap without a loss", "published again"} & faulty
