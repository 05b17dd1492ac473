"""A log that goes back in time: whoever knew marks the place, once, and every reader is told what it lacks."""

from __future__ import annotations

import pytest

from streamkit.channels import Log
from streamkit.channels._entry import Entry
from streamkit.channels._position import Position
from streamkit.errors import SealedError
from tests.channels.conftest import MakeStore
from tests.channels.logs import ROLLED_BACK, Store, Time, Told

pytestmark = pytest.mark.parametrize("kind", ROLLED_BACK)


def append(store: Store, log: Log, *payloads: bytes) -> list[Position]:
    """Append with time passing in between, so that what comes later is known to."""
    assert isinstance(store.now, Time)
    positions = []
    for payload in payloads:
        store.now.seconds += 1
        positions.append(log.append("a", payload).position)
    return positions


def follow(log: Log, at: Position | None, count: int = 100) -> list[bytes | str]:
    """Return what a reader gets from a position on: payloads, and why some are missing."""
    found: list[bytes | str] = []
    while True:
        page = log.page("a", at, count)
        found += [page.gap] if page.gap else []
        found += [entry.payload or b"" for entry in page.entries]
        if page.gap is None and not page.entries and page.at == at:
            return found
        at = page.entries[-1].position if page.entries else page.at


def stored(log: Log) -> list[Entry]:
    """Return everything that is stored, fences too."""
    return log._view("a", 0, 1000, None).entries


def test_gap_is_exactly_where_entries_were_lost(make_store: MakeStore) -> None:
    """For those that had seen what was lost, and for those that had not; between the right two entries."""
    store = make_store()
    one, two, three = append(store, store.log, b"1", b"2", b"3")
    restore = store.snapshot()
    four, five = append(store, store.log, b"4", b"5")
    restore()
    append(store, store.log, b"6", b"7")
    assert follow(store.log, one) == [b"2", b"3", "reset", b"6", b"7"]
    for at in two, three, four, five:
        assert follow(store.log, at)[-3:] == ["reset", b"6", b"7"]
    assert follow(store.log, five) == ["reset", b"6", b"7"]  # it had seen 3 and 5, and they come no more
    assert [entry.payload for entry in stored(store.log)] == [b"1", b"2", b"3", None, b"6", b"7"]


def test_reader_in_a_process_that_knew_marks_the_place(make_store: MakeStore) -> None:
    """Before anybody publishes, and though the publisher knew nothing of what was lost."""
    store = make_store()
    publisher, reader = store.log, store.open()
    (one,) = append(store, publisher, b"1")
    restore = store.snapshot()
    (two,) = append(store, publisher, b"2")
    assert follow(reader, one) == [b"2"]
    restore()
    assert follow(reader, two) == ["reset"]
    newcomer = store.open()
    append(store, newcomer, b"3")
    assert follow(newcomer, one) == ["reset", b"3"]


def test_place_is_marked_once_however_many_knew(make_store: MakeStore) -> None:
    """The second finds an epoch that is newer than what it knows."""
    store = make_store()
    logs = [store.log, store.open(), store.open()]
    append(store, logs[0], b"1")
    restore = store.snapshot()
    append(store, logs[0], b"2", b"3")
    for log in logs:
        log.page("a", None)
    restore()
    for log in logs:
        log.page("a", None)
        append(store, log, b"x")
    assert [entry.payload for entry in stored(store.log)] == [b"1", None, b"x", b"x", b"x"]


def test_entry_that_went_to_another_history_marks_the_place_again(make_store: MakeStore) -> None:
    """As one that a demoted master took, after others had begun an epoch on the new one: its loss is told as well."""
    store = make_store()
    (one,) = append(store, store.log, b"1")
    restore = store.snapshot()
    (two,) = append(store, store.log, b"2")
    elsewhere = store.open()
    elsewhere.page("a", one)
    restore()
    append(store, store.log, b"3")
    assert isinstance(store.now, Time)
    store.now.seconds += 1
    elsewhere._learn("a", Position(two.epoch, two.offset + 1, int(store.now() * 1_000_000)))
    append(store, elsewhere, b"4")
    append(store, store.log, b"5")
    assert follow(store.log, one) == ["reset", b"3", "reset", b"4", b"5"]
    assert [entry.payload for entry in stored(store.log)] == [b"1", None, b"3", None, b"4", b"5"]


def test_other_entry_at_the_same_offset_is_noticed(make_store: MakeStore) -> None:
    """Somebody who did not know has published as much again: only the tag tells."""
    store = make_store()
    (one,) = append(store, store.log, b"1")
    restore = store.snapshot()
    _, three = append(store, store.log, b"2", b"3")
    restore()
    unaware = store.open()
    append(store, unaware, b"4", b"5")
    assert unaware.page("a", three).gap == "reset"
    assert follow(unaware, three) == ["reset", b"4", b"5"]
    assert [entry.payload for entry in stored(store.log)] == [b"1", b"4", b"5"]
    append(store, store.log, b"6")
    assert [entry.payload for entry in stored(store.log)] == [b"1", b"4", b"5", None, b"6"]
    assert follow(store.log, one) == [b"4", b"5", "reset", b"6"]


def test_nothing_is_marked_where_nothing_was_lost(make_store: MakeStore) -> None:
    """A snapshot of the present state, restored."""
    store = make_store()
    one, two = append(store, store.log, b"1", b"2")
    store.snapshot()()
    (three,) = append(store, store.log, b"3")
    assert three == Position(two.epoch, 3, three.tag)
    assert follow(store.log, one) == [b"2", b"3"]


def test_key_of_an_entry_that_was_lost_stores_it_again(make_store: MakeStore) -> None:
    """A publisher that repeats itself after a restore repairs what it can."""
    store = make_store()
    (one,) = append(store, store.log, b"1")
    restore = store.snapshot()
    assert store.log.append("a", b"2", key="k").stored
    restore()
    assert store.log.append("a", b"2", key="k").stored
    assert follow(store.log, one) == ["reset", b"2"]


def test_channel_that_is_not_in_the_snapshot_begins_anew(make_store: MakeStore) -> None:
    """By an epoch that is newer than all that was known."""
    store = make_store()
    store.log.append("other", b"0")
    restore = store.snapshot()
    one, two = append(store, store.log, b"1", b"2")
    restore()
    assert follow(store.log, two) == ["reset"]
    (three,) = append(store, store.log, b"3")
    assert three.epoch > one.epoch
    assert follow(store.log, one) == ["reset", b"3"]


def test_watchers_of_every_process_are_told_to_look(make_store: MakeStore) -> None:
    """Also of a channel that nobody publishes to any more; and what comes then is told."""
    store = make_store()
    logs = [store.log, store.open()]
    append(store, store.log, b"1")
    restore = store.snapshot()
    append(store, store.log, b"2")
    told = [Told() for _ in logs]
    for log, ear in zip(logs, told, strict=True):
        log.watch("a", ear)
        log.watch("quiet", ear)
        ear.wait_none(2)
    restore()
    for ear in told:
        ear.wait_none(4)
    assert follow(logs[1], None) == [b"1"]
    append(store, logs[0], b"3")
    for ear in told:
        ear.wait(lambda ear=ear: b"3" in ear.payloads)  # type: ignore[misc]


def test_fence_counts_as_an_entry_when_old_ones_are_dropped(make_store: MakeStore) -> None:
    """And a reader that begins behind it, or at it, is told no more of it than it has to be."""
    store = make_store(max_events=3)
    (one,) = append(store, store.log, b"1")
    restore = store.snapshot()
    append(store, store.log, b"2")
    restore()
    append(store, store.log, b"3", b"4")
    assert [entry.payload for entry in stored(store.log)] == [None, b"3", b"4"]
    assert follow(store.log, one) == ["reset", b"3", b"4"]
    append(store, store.log, b"5")
    assert follow(store.log, None) == [b"3", b"4", b"5"]
    assert follow(store.log, one)[-3:] == [b"3", b"4", b"5"]
    assert follow(store.log, one)[0] in ("reset", "evicted")


def test_sealed_channel_stays_sealed_behind_a_fence(make_store: MakeStore) -> None:
    """An older life of the channel came back; the place is marked, and what was promised of that life holds."""
    store = make_store()
    store.log.append("a", b"1", seal=True)
    restore = store.snapshot()
    assert isinstance(store.now, Time)
    store.now.seconds += 1
    store.lose()
    (two,) = append(store, store.log, b"2")
    restore()
    assert follow(store.log, two) == ["reset"]
    assert store.log.page("a", None).sealed
    with pytest.raises(SealedError):
        store.log.append("a", b"3")
