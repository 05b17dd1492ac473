"""docs/contract.md says what the suite shows."""

from __future__ import annotations

import os

import pytest

from tests.contract.declared import COLUMNS, LIMITS, MODES
from tests.contract.matrix import PAGE, WRITE, Page, declared, promises


@pytest.mark.skipif(os.environ.get(WRITE) == "1", reason="this run writes the page")
def test_committed_page_agrees_with_what_is_declared() -> None:
    """The page in the repository is the one that a green run writes."""
    assert PAGE.read_text() == Page(declared()).render(), f"run the contract suite with {WRITE}=1"


@pytest.mark.parametrize("number", range(len(LIMITS)))
def test_every_limit_is_about_a_promise(number: int) -> None:
    """A limit names a test that exists and at least one column in which it runs."""
    limit = LIMITS[number]
    promise = promises()[limit.test]
    assert any(
        promise.applies(column, mode) and limit.holds(limit.test, column, mode) for column in COLUMNS for mode in MODES
    )
