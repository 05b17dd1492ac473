"""docs/doctor.md does what it shows, and names everything that there is."""

from __future__ import annotations

import re
from typing import Any

import pytest

from streamkit.doctor._battery import HTTP2, SECOND_ROUND, VARIANTS, idle_variants
from streamkit.doctor._report import EXIT_CODES, MEANINGS
from tests.doctor.test_probe_app import ask_asgi, ask_wsgi
from tests.rig.requirements import needs
from tests.rig.servers import ROOT

TEXT = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
FLASK, DJANGO, FASTAPI = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("block", "name", "ask"),
    [
        pytest.param(FLASK, "app", ask_wsgi, marks=needs("flask")),
        pytest.param(DJANGO, "application", ask_wsgi, marks=needs("django")),
        pytest.param(FASTAPI, "app", ask_asgi, marks=needs("fastapi")),
    ],
    ids=["flask", "django", "fastapi"],
)
def test_block_mounts_the_probe(block: str, name: str, ask: Any) -> None:
    """With its token it answers, without it does not."""
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(block, "doctor.md", "exec"), names)
    assert ask(names[name], "n=2&gap=0", authorization="Bearer a long secret").status == 200
    assert ask(names[name], "n=2&gap=0").status == 403


def test_page_names_every_mechanism_request_and_verdict() -> None:
    """No name that a report may show is missing."""
    asked = [*VARIANTS, HTTP2, *SECOND_ROUND, *idle_variants(1)]
    for name in (*MEANINGS, *EXIT_CODES, *(asking.variant.name for asking in asked)):
        assert f"`{name}`" in TEXT, name
    assert len(VARIANTS) == 19  # "nineteen requests"
