"""The audit fails for a finding and for a package nobody looked at, and is skipped only where no service answers."""

from __future__ import annotations

from typing import Any

import audit
import pytest

VERSIONS = {"flask": "3.1.3", "httpx": "0.28.1"}
FLAW = {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": ["3.1.4"], "description": "…"}
OFFLINE = "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='pypi.org', port=443): Max retries exceeded"


def report(canary: Any = (FLAW,), **answers: Any) -> dict[str, Any]:
    """Return a report as pip-audit writes it: by name the flaws, or None for a package that was not found."""
    given = {"flask": (), "httpx": (), "PyYAML": canary, **answers}
    found = [
        {"name": name, "skip_reason": "Dependency not found on PyPI"}
        if flaws is None
        else {"name": name, "version": "1", "vulns": list(flaws)}
        for name, flaws in given.items()
    ]
    return {"dependencies": found, "fixes": []}


@pytest.mark.parametrize(
    ("found", "errors", "code", "text"),
    [
        (report(), "", 0, "nothing is known against the 2 packages"),
        (report(flask=(FLAW,)), "", 1, "flask 3.1.3: PYSEC-2026-1, CVE-2026-1; mended in 3.1.4"),
        (report(canary=(), flask=(FLAW,)), "", 1, "flask 3.1.3: PYSEC-2026-1"),
        (report(httpx=None), "", 1, "does not know httpx"),
        ({"dependencies": report()["dependencies"][1:], "fixes": []}, "", 1, "does not know flask"),
        (report(canary=None, flask=None, httpx=None), "", 0, "not reachable: skipped"),
        (report(canary=()), "", 0, "not reachable: skipped"),
        ({"dependencies": [], "fixes": []}, "", 0, "not reachable: skipped"),
        (None, OFFLINE, 0, "not reachable: skipped"),
        (None, "ERROR: no such option: --disable-pip", 1, "pip-audit failed"),
        (None, "", 1, "pip-audit failed"),
    ],
)
def test_only_a_service_that_does_not_answer_is_let_off(
    found: dict[str, Any] | None, errors: str, code: int, text: str
) -> None:
    """A finding counts also where the service seems to know nothing."""
    got, said = audit.judge(VERSIONS, found, errors)
    assert (got, text in said) == (code, True), said
    assert said.startswith("audit: ")


def test_every_extra_is_asked_about_with_what_it_requires() -> None:
    """Of the packages that the tests run with, those that a user would get; the canary is none of them."""
    versions = audit.installed()
    assert {"flask", "django", "starlette", "fastapi", "redis", "httpx", "h2", "click", "rich"} <= versions.keys()
    assert {"werkzeug", "anyio", "pydantic-core"} <= versions.keys()
    assert not {audit.CANARY[0], "pytest", "streamkit-http"} & versions.keys()
