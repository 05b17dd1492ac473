"""Find the section of questions.md that answers a question, and hand it out word by word.

It stands in for a language model, without a network. The same question always has the same answer, so a server that was
restarted can go on where the other one stopped.
"""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

_TEXT = (Path(__file__).parent / "questions.md").read_text(encoding="utf-8")
_SECTIONS = re.findall(r"^## (.+)\n+((?:(?!## ).*\n?)*)", _TEXT, re.MULTILINE)


def words(question: str) -> list[str]:
    """Return the best answer as words, each with the space that follows it; the first section if none fits."""
    asked = _terms(question)
    best = max(_SECTIONS, key=lambda section: 3 * len(asked & _terms(section[0])) + len(asked & _terms(section[1])))
    unwrapped = re.sub(r"(?<!\n)\n(?!\s|[0-9]+\. )", " ", best[1].strip())  # a page breaks lines where it is narrow
    return re.findall(r"\S+\s*", unwrapped)


def rest(question: str, last_id: str | None) -> Iterator[tuple[int, str]]:
    """Yield position and text of every word after the one with the id `last_id`.

    The id comes from a client and may be anything: what is no position starts the answer anew.
    """
    first = int(last_id) + 1 if last_id and re.fullmatch(r"[0-9]{1,9}", last_id) else 0
    return islice(enumerate(words(question)), first, None)


def _terms(text: str) -> set[str]:
    return {word.rstrip("s") for word in re.findall(r"[a-z-]{4,}", text.lower())}
