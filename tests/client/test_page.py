"""docs/client.md: its blocks run as they stand there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.scripted import Answer, ScriptedServer
from tests.test_how_to import BLOCK

PAGE = Path(__file__).parents[2] / "docs" / "client.md"
FOLLOW, SYNC, RULES, OWN = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
STREAM = Answer(b"retry: 0\nid: 7\ndata: hello\n\nevent: done\ndata: bye\n\n")


@pytest.mark.parametrize(
    ("block", "prints"),
    [
        (FOLLOW, "message hello\ndone bye\n"),
        (SYNC, "message hello\ndone bye\nwent up to 7\n"),
        (RULES, "hello\nbye\n"),
        (OWN, "['hello', 'bye']\n"),
    ],
    ids=["async", "sync", "rules", "own client"],
)
def test_blocks_print_what_comes(block: str, prints: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each against a stream that says that it is done."""
    with ScriptedServer(STREAM) as server:
        names = {"url": server.url, "base": server.url.removesuffix("/stream")}
        exec(compile(block, "page", "exec", dont_inherit=True), names)
    assert capsys.readouterr().out == prints
    assert [asked.target for asked in server.asked[:1]] == ["/stream"]


def test_end_without_a_word_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The page's callback says why and when."""
    with ScriptedServer(Answer(b"retry: 0\ndata: 1\n\n"), STREAM) as server:
        exec(compile(RULES, "page", "exec", dont_inherit=True), {"url": server.url})
    assert capsys.readouterr().out == "1\nthe stream has ended; once more in 0.0 s\nhello\nbye\n"
