"""Every promise about speed has a benchmark that measures it."""

import re
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from benchmarks.harness import Report
from benchmarks.page import machine, versions_of, write
from benchmarks.reasons import REASONS
from benchmarks.targets import TARGETS

PROMISES = {
    "encode a token, a dict, 4 KB with 20 line breaks",
    "a full event, built, checked and encoded",
    "burst: async generator that never awaits",
    "burst: sync generator under ASGI",
    "WSGI: Flask and Django",
    "paced: 200 streams at 50 tokens/s",
    "a generator that blocks 50 ms between yields",
    "idle: 5,000 connections",
    "fan-out to 1,000, one channel",
    "80 blocked sync streams",
    "a never-awaiting stream to a fast reader",
    "import streamkit.fastapi beyond import fastapi",
    "a non-streaming request through the ASGI middleware",
}


def test_every_target_is_measured_by_exactly_one_benchmark() -> None:
    """None is left out, none has two figures, and no benchmark claims one that there is not."""
    measured = Counter(key for _, _, keys in BENCHMARKS for key in keys)
    assert measured == Counter(target.key for target in TARGETS)
    assert set(measured.values()) == {1}


def test_every_promise_has_a_target() -> None:
    """The table of promises is what the targets are about."""
    assert {target.row for target in TARGETS} == PROMISES


def test_page_names_the_machine_by_what_it_is() -> None:
    """Processor, cores and system, and no name of a host."""
    assert re.fullmatch(r".+, \d+ cores, \w+ [\d.]+", machine())


def test_page_shows_every_figure_beside_its_target(tmp_path: Path) -> None:
    """Promises in the order of the table, whatever order they were measured in, and how many are met."""
    later = Report("Later", ["", "ns"], [["a", "1"]], {"event-peer": 1.25}, ["A note."], command="python -m later")
    sooner = Report("Sooner", ["", "ns"], [["b", "2"]], {"token-floor": 2.0})
    text = write([(later, ["event-peer"]), (sooner, ["token-floor"])], tmp_path).read_text(encoding="utf-8")
    assert "1 of 2 are met." in text
    met = "| encode a token, a dict, 4 KB with 20 line breaks | a token, times the floor | 2 x | at most 2.5 x | met |"
    missed = (
        "| a full event, built, checked and encoded | a full event, faster than the best peer | 1.25 x | at least 2 x |"
        " not met |"
    )
    assert f"{met}\n{missed}" in text
    assert "## Later\n\n`python -m later`\n\n|  | ns |\n| --- | ---: |\n| a | 1 |\n\nA note.\n" in text


def test_page_gives_a_reason_once(tmp_path: Path) -> None:
    """Targets of one promise that share it stand before it together."""
    report = Report("Title", [], [], {"wsgi-flask": 0.5, "wsgi-django": 0.5})
    text = write([(report, ["wsgi-flask", "wsgi-django"])], tmp_path).read_text(encoding="utf-8")
    assert text.count(REASONS["wsgi-flask"]) == 1
    assert "the raw floor's rate; Django" in text


def test_page_says_why_a_target_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those alone that are missed; one whose reason nobody knows is not passed over."""
    monkeypatch.setitem(REASONS, "event-peer", "Because.")
    monkeypatch.setitem(REASONS, "token-floor", "Never shown.")
    monkeypatch.delitem(REASONS, "dict-peer", raising=False)
    report = Report("Title", [], [], {"token-floor": 2.0, "event-peer": 1.25, "dict-peer": 1.0})
    text = write([(report, ["token-floor", "event-peer", "dict-peer"])], tmp_path).read_text(encoding="utf-8")
    assert "(a full event, faster than the best peer): Because.\n" in text
    assert "(a dict with orjson, faster than the best peer): No reason is known yet.\n" in text
    assert "Never shown." not in text


def test_every_reason_belongs_to_a_target() -> None:
    """A target that was renamed takes its reason along."""
    assert set(REASONS) <= {target.key for target in TARGETS}


def test_page_names_the_versions_of_what_is_installed() -> None:
    """And leaves out what is not."""
    assert re.fullmatch(r"orjson \d\S+", versions_of(["orjson", "no-such-package-anywhere"])[0])
    assert versions_of(["no-such-package-anywhere"]) == []
