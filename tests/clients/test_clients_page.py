"""docs/clients.md says what the suite shows."""

from __future__ import annotations

import os

import pytest

from tests.clients.table import PAGE, declared, render, versions_of_page
from tests.contract.matrix import WRITE


@pytest.mark.skipif(os.environ.get(WRITE) == "1", reason="this run writes the page")
def test_committed_page_agrees_with_what_is_declared() -> None:
    """The page in the repository is the one that a green run writes, with the versions of some such run."""
    page = PAGE.read_text(encoding="utf-8")
    assert page == render(declared(), versions_of_page(page)), f"run tests/clients with {WRITE}=1"
