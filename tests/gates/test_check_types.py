"""The gate of the types fails where pyright knows fewer public symbols than before, and names those it does not."""

from typing import Any

import check_types
import pytest


def told(score: float) -> dict[str, Any]:
    """Return a report in the form of pyright's."""
    missing = {"message": "Type is missing type annotation\n  Inferred type is int"}
    return {
        "completenessScore": score,
        "exportedSymbolCounts": {"withKnownType": 1, "withAmbiguousType": 1, "withUnknownType": 0},
        "symbols": [
            {"name": "streamkit.a", "isExported": True, "isTypeKnown": True, "diagnostics": []},
            {"name": "streamkit.b", "isExported": True, "isTypeKnown": False, "diagnostics": [missing]},
            {"name": "streamkit._c", "isExported": False, "isTypeKnown": False, "diagnostics": [missing]},
        ],
    }


@pytest.mark.parametrize(("score", "code"), [(check_types.LEAST, 0), (check_types.LEAST - 0.01, 1)])
def test_fewer_known_types_than_before_fail(
    score: float, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The code of the exit says it, and the output which symbols are meant."""
    monkeypatch.setattr(check_types, "report", lambda: told(score))
    assert check_types.main() == code
    output = capsys.readouterr().out
    assert "1 of 2 public symbols" in output
    assert ("streamkit.b: Type is missing type annotation" in output) is bool(code)
    assert "_c" not in output
