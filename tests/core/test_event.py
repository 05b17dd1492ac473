"""What an Event is: a checked value. How it is written is in test_formats."""

import copy
import dataclasses
import pickle
from enum import Enum, IntEnum
from typing import Any

import pytest

from streamkit import Event, InvalidEventError
from streamkit.sse import MISSING, EncodedEvent


class Kind(str, Enum):  # noqa: UP042 - a StrEnum formats itself as its value
    """A type name that formats itself as `Kind.DONE`."""

    DONE = "done"


class Number(IntEnum):
    """An int with a name."""

    SEVEN = 7


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("line feed in id", {"data": "x", "id": "a\nb"}, "id"),
    ("carriage return in id", {"data": "x", "id": "a\rb"}, "id"),
    ("NUL in id", {"data": "x", "id": "a\0"}, "id"),
    ("id is a bool", {"data": "x", "id": True}, "id"),
    ("id is bytes", {"data": "x", "id": b"1"}, "id"),
    ("lone surrogate in id", {"data": "x", "id": "\ud800"}, "id"),
    ("line feed in event", {"data": "x", "event": "a\nb"}, "event"),
    ("carriage return in event", {"data": "x", "event": "a\r"}, "event"),
    ("event is an int", {"data": "x", "event": 5}, "event"),
    ("type without data", {"event": "end"}, "event"),
    ("type and id without data", {"event": "end", "id": "1"}, "event"),
    ("negative retry", {"data": "x", "retry": -1}, "retry"),
    ("retry is a bool", {"data": "x", "retry": True}, "retry"),
    ("retry is a float", {"data": "x", "retry": 1.0}, "retry"),
    ("retry over a JavaScript timer", {"data": "x", "retry": 2**31}, "retry"),
    ("comment is bytes", {"comment": b""}, "comment"),
    ("lone surrogate in comment", {"comment": "\udfff"}, "comment"),
    ("nothing at all", {}, "data"),
]


@pytest.mark.parametrize(("fields", "field"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_field_that_cannot_be_sent_is_refused_by_name_and_value(fields: dict[str, Any], field: str) -> None:
    """The error names the field, carries its value and shows it."""
    with pytest.raises(InvalidEventError) as caught:
        Event(**fields)
    assert caught.value.field == field
    assert str(caught.value).startswith(field)
    assert caught.value.value == fields.get(field, MISSING)
    assert repr(caught.value.value) in str(caught.value)


def test_int_id_becomes_text() -> None:
    """An id is what the client sends back, which is text."""
    assert Event("x", id=7).id == "7"
    assert Event("x", id=Number.SEVEN).id == "7"


def test_int_id_longer_than_python_writes_is_refused() -> None:
    """Python writes no int of more than 4,300 digits in decimal; the error shows it in hexadecimal."""
    with pytest.raises(InvalidEventError, match=r"id .*4300 digits.* got '0x"):
        Event("x", id=16**4000)


def test_retry_of_an_int_of_another_type_is_an_int() -> None:
    """An enum mixed with int is sent as its number."""
    assert type(Event("x", retry=Number.SEVEN).retry) is int


def test_str_enum_counts_as_its_text() -> None:
    """An enum mixed with str is sent by its value, not by its name."""
    event = Event("x", event=Kind.DONE, id=Kind.DONE, comment=Kind.DONE)
    assert (event.event, event.id, event.comment) == ("done", "done", "done")


def test_fields_outside_ascii_are_kept() -> None:
    """Text of every script is allowed where it has no line break, U+2028 among it."""
    event = Event("x", event="größe", id="\u2028\x85", retry=0)
    assert (event.event, event.id, event.retry) == ("größe", "\u2028\x85", 0)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Event("x"), "Event('x')"),
        (Event(None, event="e"), "Event(None, event='e')"),
        (Event(id="7"), "Event(id='7')"),
        (Event("x", id="", retry=0, comment=""), "Event('x', id='', retry=0, comment='')"),
    ],
)
def test_repr_shows_the_fields_present(event: Event, text: str) -> None:
    """What is absent is not shown, what is empty is."""
    assert repr(event) == text


def test_event_is_a_value() -> None:
    """Equal fields make equal events, which hash, copy and travel between processes."""
    event = Event("x", event="e", id="1")
    assert event == Event("x", event="e", id=1) != Event("x")
    assert len({event, Event("x", event="e", id="1")}) == 1
    assert pickle.loads(pickle.dumps(event)) == copy.deepcopy(event) == event
    assert pickle.loads(pickle.dumps(Event(id="1"))).data is MISSING
    assert dataclasses.replace(event, id="2") == Event("x", event="e", id="2")


def test_event_with_unhashable_data_has_no_hash() -> None:
    """It is hashable where its data is."""
    with pytest.raises(TypeError):
        hash(Event({}))


@pytest.mark.parametrize("field", ["data", "event", "id", "retry", "comment"])
def test_event_cannot_be_changed(field: str) -> None:
    """What was checked stays as it was checked."""
    event = Event("x", event="e", id="1", retry=1, comment="c")
    before = repr(event)
    with pytest.raises(dataclasses.FrozenInstanceError, match="replace"):
        setattr(event, field, "a\nb")
    with pytest.raises(dataclasses.FrozenInstanceError, match="replace"):
        delattr(event, field)
    assert repr(event) == before


def test_event_has_no_room_for_anything_else() -> None:
    """A name that is spelled wrongly is an error, as in any class with slots."""
    with pytest.raises(AttributeError):
        Event("x").ident = "1"  # type: ignore[attr-defined]


def test_field_names_of_an_event_can_be_listed() -> None:
    """It is a dataclass to whoever asks, and none of its fields has a default that is not one."""
    fields = dataclasses.fields(Event)
    assert [field.name for field in fields] == ["data", "event", "id", "retry", "comment"]
    assert all(field.default is dataclasses.MISSING for field in fields)


@pytest.mark.parametrize(("is_json", "data"), [(True, [1, None]), (False, "[1,null]")])
def test_event_that_was_encoded_before_is_a_value_too(is_json: bool, data: object) -> None:
    """It copies, travels between processes and cannot be changed, and its data is read from what was encoded."""
    event = EncodedEvent(b"[1,null]", is_json=is_json, event="e", id="1")
    assert event.data == data
    assert (
        pickle.loads(pickle.dumps(event)) == copy.deepcopy(event) == event == event.with_id("1") != event.with_id("2")
    )
    with pytest.raises(AttributeError):
        event.data = 5  # type: ignore[misc]
