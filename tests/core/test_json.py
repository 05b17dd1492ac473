"""The default JSON encoder: the same values and the same refusals with orjson and without."""

import enum
import json
import sys
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import attrs
import msgspec
import orjson
import pydantic
import pytest
from django.utils.functional import lazystr
from hypothesis import example, given
from hypothesis import strategies as st

from streamkit import NDJSON, EncodeError, Event, EventStream, Format, _json
from tests.core.test_formats import in_use

Encode = Callable[[object], bytes]
Point = namedtuple("Point", "x y")


class Shade(enum.Enum):
    """A plain enum."""

    RED = "red"


class Level(enum.IntEnum):
    """An enum that is an int."""

    HIGH = 3


class Word(str):
    """A str of one's own."""


class Real(float):
    """A float of one's own."""


@dataclass
class Holder:
    """A dataclass, of which orjson cannot say what it holds."""

    value: object


@dataclass
class Plain:
    """A dataclass with a nested value that needs encoding too."""

    when: date
    tags: frozenset[str]


@attrs.define
class Attrs:
    """An attrs class."""

    level: Level


class Model(pydantic.BaseModel):
    """A pydantic model whose field has an alias."""

    size: int = pydantic.Field(serialization_alias="theSize")
    when: date


class Struct(msgspec.Struct, rename="camel", tag="s"):
    """A msgspec Struct with a tag, renamed fields and values that msgspec writes in its own way."""

    some_when: datetime
    inner: Any = None


class LazyString:
    """Named and shaped as the lazy translation of Flask-Babel."""

    def __str__(self) -> str:
        return "läzy"


DAY = date(2026, 11, 22)
MOMENT = datetime(2026, 11, 22, 1, 2, 3, 4, tzinfo=UTC)

VALUES: list[tuple[object, object]] = [
    (DAY, "2026-11-22"),
    (MOMENT, "2026-11-22T01:02:03.000004+00:00"),
    (time(1, 2, 3), "01:02:03"),
    (Decimal("1.10"), "1.10"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (PurePosixPath("a/b"), "a/b"),
    (Shade.RED, "red"),
    (Level.HIGH, 3),
    (Word("w"), "w"),
    (Real(1.5), 1.5),
    ({Word("k"): Word("v")}, {"k": "v"}),
    (OrderedDict(a=1), {"a": 1}),
    (Point(1, DAY), [1, "2026-11-22"]),
    ((1, 2), [1, 2]),
    ({"x"}, ["x"]),
    (Plain(DAY, frozenset({"x"})), {"when": "2026-11-22", "tags": ["x"]}),
    (Attrs(Level.HIGH), {"level": 3}),
    (Model(size=1, when=DAY), {"theSize": 1, "when": "2026-11-22"}),
    (Struct(MOMENT, [Decimal(1)]), {"type": "s", "someWhen": "2026-11-22T01:02:03.000004+00:00", "inner": ["1"]}),
    (LazyString(), "läzy"),
    (lazystr("later"), "later"),
    ({1: None, None: True, 1.5: False}, {"1": None, "null": True, "1.5": False}),
    ([None, 1.5, [Holder(None)], (DAY, {"a": True})], [None, 1.5, [{"value": None}], ["2026-11-22", {"a": True}]]),
    (2**70, 2**70),
    ("null", "null"),
    ("a\x85b\u2028c\u2029", "a\x85b\u2028c\u2029"),
]

REFUSED: list[Any] = [
    (b"x", "bytes", "decode it to str"),
    ([[[[{"a": float("nan")}]]]], "list", "Out of range"),
    ({"a": None, "b": [1.5, (2, float("-inf"))]}, "dict", "Out of range"),
    ([None, Holder(float("nan"))], "list", "Out of range"),
    (float("inf"), "float", "Out of range"),
    (Real("nan"), "Real", "Out of range"),
    ({"a": "\ud800"}, "str", "lone surrogate"),
    (object(), "object", "no form in JSON"),
    (Plain, "type", "no form in JSON"),
    ({(1, 2): 3}, "dict", "keys must be"),
    ([Event("x")], "Event", "by itself"),
    ((n for n in [1]), "generator", "make it a list"),
    (timedelta(1), "timedelta", "total_seconds"),
    (Struct(MOMENT, b"x"), "bytes", "decode it to str"),
    (Struct(MOMENT, object()), "object", "no form in JSON"),
    pytest.param(10**5000, "int", "4300 digits", id="huge int"),
]


@pytest.fixture(params=["orjson", "standard library"])
def encode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Encode:
    """Return the default encoder, once with orjson and once as if it were not installed."""
    if request.param != "orjson":
        monkeypatch.setattr(_json, "write", _json._standard)
    return _json.dumps


@pytest.mark.parametrize(("value", "read"), VALUES)
def test_value_is_written_as_the_table_says(encode: Encode, value: object, read: object) -> None:
    """One line of compact JSON that says this."""
    line = encode(value)
    assert json.loads(line) == read
    assert len(line.decode().splitlines()) == 1


@pytest.mark.parametrize(("value", "item_type", "detail"), REFUSED)
def test_value_without_json_is_refused_with_advice(encode: Encode, value: object, item_type: str, detail: str) -> None:
    """The error names the type and says what to do where that is known."""
    with pytest.raises(EncodeError, match=detail) as caught:
        encode(value)
    assert caught.value.item_type == item_type


def test_value_that_contains_itself_is_refused(encode: Encode) -> None:
    """A cycle ends in an error, not in an endless line."""
    cycle: list[object] = []
    cycle.append(cycle)
    with pytest.raises(EncodeError, match="contains itself"):
        encode(cycle)


def test_json_is_compact_utf8(encode: Encode) -> None:
    """No space is sent that says nothing, and text stays readable."""
    assert encode({"a": [1, "é"]}) == '{"a":[1,"é"]}'.encode()


@pytest.mark.parametrize("stream", [EventStream(), in_use(EventStream())], ids=["new", "in use"])
def test_fragment_of_orjson_forges_no_event(stream: EventStream) -> None:
    """Raw JSON passes, but its line breaks stay inside the data."""
    frame = stream.encode({"a": orjson.Fragment(b"1\n\nid: 7\r\r")})
    assert frame == b'data: {"a":1\ndata: \ndata: id: 7\ndata: \ndata: }\n\n'


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)) | st.binary()
values = st.recursive(
    scalars | st.datetimes() | st.decimals() | st.uuids() | st.sampled_from([Shade.RED, Level.HIGH, Word("w")]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
    max_leaves=8,
)


@given(values)
def test_both_encoders_agree_on_every_value(value: object) -> None:
    """Equal after reading, or refused by both."""
    answers: list[object] = []
    for write in (_json.dumps, _json._standard):
        try:
            answers.append(json.loads(write(value)))
        except EncodeError as error:
            answers.append((error.item_type, error.detail))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("format", [in_use(EventStream()), NDJSON()], ids=["sse", "ndjson"])
@given(st.dictionaries(st.text() | st.integers(), values))
@example({"a": float("nan")})
@example({"a": "\u2028"})
@example({1: None})
def test_formats_write_of_a_dict_what_dumps_does(format: Format, value: dict[object, object]) -> None:
    """They call the encoder themselves, which must change neither a value nor a refusal."""
    value["more"] = 1  # no dict of field names alone
    answers: list[object] = []
    for write in (_json.dumps, format.encode):
        try:
            answers.append(write(value).strip().removeprefix(b"data: "))
        except EncodeError as error:
            answers.append((error.item_type, error.detail))
    assert answers[0] == answers[1]


def test_dict_goes_to_the_encoder_of_ones_own_however_many_were_written() -> None:
    """The shorter way is that of the default encoder alone."""
    stream = EventStream(dumps=lambda obj: '"mine"')
    assert in_use(stream).encode({}) == b'data: "mine"\n\n'


def test_null_that_is_surely_none_needs_no_second_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every chunk of some APIs holds a null: the standard library is asked only where a NaN may be behind it."""
    monkeypatch.setattr(_json, "_standard", None)
    chunk = {"choices": [{"delta": {"content": "x"}, "stop": None, "p": 0.5}], "at": DAY, "pair": (1, None), "ok": True}
    assert json.loads(_json.dumps(chunk)) == {**chunk, "at": "2026-11-22", "pair": [1, None]}


def test_orjson_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first value finds it; each later one goes to it directly."""
    monkeypatch.setattr(_json, "write", _json._find)
    assert _json.dumps([DAY]) == b'["2026-11-22"]'
    assert _json.write is orjson.dumps


def test_orjson_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot be imported the standard library is used."""
    monkeypatch.setitem(sys.modules, "orjson", None)
    monkeypatch.setattr(_json, "write", _json._find)
    assert _json.dumps({"a": [DAY, None]}) == b'{"a":["2026-11-22",null]}'
    assert _json.write is _json._standard


def test_interpreter_without_the_c_encoder_writes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyPy has no C encoder; the one in Python takes its place."""
    monkeypatch.setattr("json.encoder.c_make_encoder", None)
    monkeypatch.setattr(_json, "_standard_encoder", _json._standard_encoder.__wrapped__)
    assert _json._standard({"a": [1, "é", DAY]}) == '{"a":[1,"é","2026-11-22"]}'.encode()
    with pytest.raises(EncodeError):
        _json._standard([float("nan")])


@pytest.mark.parametrize(
    ("custom", "detail"),
    [
        (lambda obj: 5, "dumps failed"),
        (lambda obj: b"\xff", "dumps failed"),
        (json.dumps, "not JSON serializable"),
        (lambda obj: "\ud800", "lone surrogate"),
    ],
)
def test_failure_of_a_custom_encoder_is_an_encode_error(custom: Any, detail: str) -> None:
    """What goes wrong in it, or with what it returns, is told as for the default one."""
    with pytest.raises(EncodeError, match=detail):
        _json.encoder(custom)(object())


def test_custom_encoder_has_its_line_separators_escaped() -> None:
    """Clients that use splitlines() break on them whoever wrote the JSON."""
    custom = _json.encoder(lambda obj: json.dumps(obj, ensure_ascii=False))
    assert custom("\x85\u2028\u2029") == rb'"\u0085\u2028\u2029"'
