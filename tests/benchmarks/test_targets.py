"""Every promise about speed has a benchmark that measures it."""

import re
from collections import Counter

from benchmarks.__main__ import BENCHMARKS
from benchmarks.page import machine
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
    measured = Counter(key for _, keys in BENCHMARKS for key in keys)
    assert measured == Counter(target.key for target in TARGETS)
    assert set(measured.values()) == {1}


def test_every_promise_has_a_target() -> None:
    """The table of promises is what the targets are about."""
    assert {target.row for target in TARGETS} == PROMISES


def test_page_names_the_machine_by_what_it_is() -> None:
    """Processor, cores and system, and no name of a host."""
    assert re.fullmatch(r".+, \d+ cores, \w+ [\d.]+", machine())
