"""What every log promises, over every kind of it, by a clock that the test owns."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import time

import pytest

from streamkit.channels import Log
from streamkit.channels._history import Page
from streamkit.channels._log import PAGE_BYTES
from streamkit.channels._position import Position
from streamkit.errors import LogFullError, SealedError
from tests.channels.conftest import MakeStore
from tests.channels.logs import ALL, SHARED, Store, Time, Told
from tests.engine.interpreter import python

every_kind = pytest.mark.parametrize("kind", ALL)
shared_kinds = pytest.mark.parametrize("kind", SHARED)


def numbered(log: Log, numbers: range, channel: str = "a") -> list[Position]:
    """Append numbers and return where they are."""
    return [log.append(channel, b"%d" % number).position for number in numbers]


def read(page: Page) -> list[int]:
    """Return the numbers on a page."""
    return [int(entry.payload or b"-1") for entry in page.entries]


def passing(store: Store, seconds: float) -> None:
    """Let time pass."""
    assert isinstance(store.now, Time)
    store.now.seconds += seconds


@every_kind
def test_entries_come_in_the_order_in_which_they_were_appended(make_store: MakeStore) -> None:
    """Page by page, each from where the one before ended, and nothing after the head."""
    log = make_store().log
    positions = numbered(log, range(7))
    assert [position.offset for position in positions] == list(range(1, 8))
    assert len({position.epoch for position in positions}) == 1
    assert positions == sorted(positions, key=lambda position: position.tag)
    found, at = [], None
    for size in 3, 3, 1, 0:
        page = log.page("a", at, 3)
        found += read(page)
        assert len(page.entries) == size
        assert page.gap is None
        assert page.head == positions[-1]
        at = page.entries[-1].position if page.entries else page.at
    assert found == list(range(7))
    assert at == positions[-1]


@every_kind
def test_channels_do_not_mix(make_store: MakeStore) -> None:
    """Each counts for itself, and its limits are its own."""
    log = make_store(max_events=3).log
    numbered(log, range(3), "a")
    numbered(log, range(10, 20), "b")
    assert read(log.page("a", None)) == [0, 1, 2]
    assert read(log.page("b", None)) == [17, 18, 19]


@every_kind
@pytest.mark.parametrize(
    "name", ["}", "{a}", "a b", "🙂", "%s%%", "a\0b", "a", "A", "é" * 127 + "e", "'; --", "a\nb", "*"]
)
def test_channel_may_have_any_name(make_store: MakeStore, name: str) -> None:
    """Also those that mean something to a server, a query or a shell, and up to 255 bytes."""
    log = make_store().log
    log.append("a\0", b"0")
    told = Told()
    log.watch(name, told)
    told.wait_none()
    numbered(log, range(2), name)
    assert read(log.page(name, None)) == [0, 1]
    told.wait(lambda: told.payloads == [b"0", b"1"])


@every_kind
def test_channel_nobody_published_to_has_a_position_that_stays(make_store: MakeStore) -> None:
    """Who begins to follow an empty channel misses nothing of it."""
    log = make_store().log
    page = log.page("a", None)
    assert page.entries == []
    assert page.head == page.floor == page.at == log.page("a", None).head
    assert page.head.offset == 0
    numbered(log, range(2))
    assert read(log.page("a", page.at)) == [0, 1]
    assert log.page("a", page.at).gap is None


@every_kind
def test_oldest_entries_go_when_there_are_too_many(make_store: MakeStore) -> None:
    """By number; each append drops what it displaces."""
    log = make_store(max_events=3).log
    positions = numbered(log, range(8))
    page = log.page("a", None)
    assert read(page) == [5, 6, 7]
    assert page.floor == positions[4]


@every_kind
def test_oldest_entries_go_when_they_have_too_many_bytes(make_store: MakeStore) -> None:
    """A payload counts for 100 bytes more; one that never fits is refused."""
    log = make_store(max_bytes=1000).log
    for letter in b"abcdef":
        log.append("a", bytes([letter]) * 150)
    assert [entry.payload for entry in log.page("a", None).entries] == [b"c" * 150, b"d" * 150, b"e" * 150, b"f" * 150]
    log.append("a", b"g" * 600)
    assert [len(entry.payload or b"") for entry in log.page("a", None).entries] == [150, 600]
    with pytest.raises(LogFullError, match="'a' is full: its log keeps 1000 bytes"):
        log.append("a", b"h" * 901)
    log.append("a", b"h" * 900)
    assert [len(entry.payload or b"") for entry in log.page("a", None).entries] == [900]


@every_kind
def test_old_entries_go(make_store: MakeStore) -> None:
    """By age, also where nothing is appended; the last position stays."""
    store = make_store(max_age=60)
    first = numbered(store.log, range(2))
    passing(store, 40)
    then = numbered(store.log, range(2, 4))
    passing(store, 30)
    page = store.log.page("a", None)
    assert read(page) == [2, 3]
    assert page.floor == first[1]
    assert store.log.page("a", first[0]).gap == "evicted"
    passing(store, 40)
    page = store.log.page("a", then[1])
    assert (page.entries, page.gap) == ([], None)
    assert page.head == page.floor == then[1]
    numbered(store.log, range(4, 5))
    assert read(store.log.page("a", then[1])) == [4]


@every_kind
@pytest.mark.parametrize(
    ("asked", "gap", "following"),
    [
        (8, None, [9, 10]),
        (10, None, []),
        (6, None, [7, 8, 9, 10]),
        (5, None, [6, 7, 8, 9, 10]),
        (4, "evicted", [6, 7, 8, 9, 10]),
        (3, "evicted", [6, 7, 8, 9, 10]),
        (57, "reset", []),
        (None, None, [6, 7, 8, 9, 10]),
    ],
)
def test_resume_is_exact_or_says_so(
    make_store: MakeStore, asked: int | None, gap: str | None, following: list[int]
) -> None:
    """6 to 10 are kept and 1 to 5 evicted: an id just before the oldest is no gap."""
    log = make_store(max_events=5).log
    positions = dict(enumerate(numbered(log, range(1, 11)), 1))
    positions[57] = Position(positions[10].epoch, 57, positions[10].tag + 47_000_000)
    page = log.page("a", None if asked is None else positions[asked])
    assert (page.gap, read(page)) == (gap, following)
    if gap is not None:  # the reader goes on from there, and is told once
        assert log.page("a", page.at).gap is None


@every_kind
def test_position_of_another_history_is_a_gap(make_store: MakeStore) -> None:
    """Another epoch, or another entry at that offset; what is surely newer than it follows."""
    store = make_store()
    numbered(store.log, range(2))
    passing(store, 1)
    foreign = numbered(store.log, range(2, 3), "b")[0]
    passing(store, 1)
    mine = numbered(store.log, range(3, 5))
    for position in foreign, Position(mine[0].epoch, 2, foreign.tag), Position(mine[0].epoch - 1, 2, foreign.tag):
        page = store.log.page("a", position)
        assert (page.gap, read(page)) == ("reset", [3, 4])
    page = store.log.page("a", Position(0, 10**18 - 1, 0))
    assert (page.gap, read(page)) == ("reset", [0, 1, 3, 4])


@every_kind
def test_entry_with_an_idempotency_key_is_stored_once(make_store: MakeStore) -> None:
    """Until it is evicted; a key is one of its channel alone."""
    log = make_store(max_events=3).log
    stored = log.append("a", b"1", key="k\0")
    again = log.append("a", b"other", key="k\0")
    assert (stored.stored, again.stored) == (True, False)
    assert again.position == stored.position
    assert log.append("b", b"2", key="k\0").stored
    assert log.append("a", b"3", key="K\0").stored
    assert [entry.key for entry in log.page("a", None).entries] == ["k\0", "K\0"]
    numbered(log, range(4, 7))
    assert log.append("a", b"7", key="k\0").stored
    assert read(log.page("a", None)) == [5, 6, 7]


@every_kind
def test_idempotency_key_is_free_again_when_its_entry_is_too_old(make_store: MakeStore) -> None:
    """Nobody has looked at the channel meanwhile."""
    store = make_store(max_age=60)
    assert store.log.append("a", b"1", key="k").stored
    passing(store, 61)
    assert store.log.append("a", b"2", key="k").stored
    assert read(store.log.page("a", None)) == [2]


@every_kind
def test_first_entry_is_stored_only_in_a_channel_without_a_past(make_store: MakeStore) -> None:
    """Also where all that there was is evicted."""
    store = make_store(max_age=60)
    stored = store.log.append("a", b"1", first=True)
    again = store.log.append("a", b"2", first=True)
    assert (stored.stored, again.stored, again.position) == (True, False, stored.position)
    passing(store, 100)
    assert not store.log.append("a", b"3", first=True).stored
    assert store.log.page("a", None).entries == []
    store.log.page("b", None)
    assert store.log.append("b", b"4", first=True).stored


@every_kind
def test_channel_exists_once_it_was_published_to_or_read(make_store: MakeStore) -> None:
    """To ask does not make it."""
    store = make_store(max_age=60)
    for _ in range(2):
        assert not store.log.exists("a")
    store.log.append("a", b"1")
    store.log.page("b", None)
    assert store.log.exists("a")
    assert store.log.exists("b")
    passing(store, 130)
    store.log.append("c", b"1")
    assert not store.log.exists("a")
    assert store.log.exists("c")


@every_kind
def test_last_entry_is_the_one_that_is_kept(make_store: MakeStore) -> None:
    """None in a channel that is empty, or has become so."""
    store = make_store(max_age=60)
    assert store.log.last("a") is None
    position = numbered(store.log, range(3))[-1]
    last = store.log.last("a")
    assert last is not None
    assert (last.position, last.payload) == (position, b"2")
    passing(store, 70)
    assert store.log.last("a") is None


@every_kind
def test_sealed_channel_takes_nothing_more(make_store: MakeStore) -> None:
    """The entry that seals says so, also to who reads the page; a key that is kept is still answered."""
    log = make_store().log
    log.append("a", b"1", key="k")
    assert not log.page("a", None).sealed
    end = log.append("a", b"2", seal=True).position
    for options in ({}, {"seal": True}, {"key": "new"}):
        with pytest.raises(SealedError, match="channel 'a' is sealed"):
            log.append("a", b"3", **options)
    assert not log.append("a", b"4", key="k").stored
    page = log.page("a", None)
    assert (read(page), page.sealed, page.head) == ([1, 2], True, end)
    assert [entry.sealed for entry in page.entries] == [False, True]


@every_kind
def test_append_may_ask_to_evict_nothing(make_store: MakeStore) -> None:
    """At the limit it is refused; only the entry that seals may displace one."""
    log = make_store(max_events=3, max_bytes=1000).log
    for number in range(3):
        log.append("a", b"%d" % number, keep=True)
    with pytest.raises(LogFullError, match="3 entries of a channel"):
        log.append("a", b"3", keep=True)
    log.append("a", b"4", keep=True, seal=True)
    assert read(log.page("a", None)) == [1, 2, 4]
    log.append("b", b"x" * 500, keep=True)
    with pytest.raises(LogFullError, match="1000 bytes of a channel"):
        log.append("b", b"x" * 400, keep=True)
    log.append("b", b"x" * 300, keep=True)


@every_kind
def test_lease_has_one_owner_until_it_expires(make_store: MakeStore) -> None:
    """Renewed by its owner alone, given back by its owner alone."""
    store = make_store()
    log = store.log
    assert log.holder("job") is None
    assert log.hold("job", "me", 10)
    assert not log.hold("job", "you", 10)
    assert log.hold("other\0", "you", 10)
    passing(store, 8)
    assert log.hold("job", "me", 10)
    passing(store, 8)
    assert (log.holder("job"), log.holder("other\0")) == ("me", None)
    log.release("job", "you")
    assert log.holder("job") == "me"
    log.release("job", "me")
    assert log.hold("job", "you", 10)
    passing(store, 10)
    assert log.holder("job") is None
    assert log.hold("job", "me", 10)
    log.release("job", "you")
    assert log.holder("job") == "me"


@every_kind
def test_page_ends_by_its_bytes_but_always_goes_on(make_store: MakeStore) -> None:
    """Entries larger than a page come one by one, also behind another as large."""
    log = make_store(max_bytes=64 * PAGE_BYTES).log
    sizes = [10, PAGE_BYTES + 1, PAGE_BYTES + 2, 11, 12, PAGE_BYTES // 2, PAGE_BYTES // 2, PAGE_BYTES // 2]
    for size in sizes:
        log.append("a", b"x" * size)
    found: list[int] = []
    at = log.page("a", None, 0).floor
    for _ in sizes:
        page = log.page("a", at)
        assert page.gap is None
        assert sum(len(entry.payload or b"") for entry in page.entries) < 4 * PAGE_BYTES
        found += [len(entry.payload or b"") for entry in page.entries]
        at = page.entries[-1].position if page.entries else at
    assert found == sizes


@every_kind
def test_channel_that_nobody_needs_is_forgotten_but_not_a_watched_one(make_store: MakeStore) -> None:
    """After twice the age of an entry; its next life has another epoch, and a position of before is a gap."""
    store = make_store(max_age=60)
    log = store.log
    told = Told()
    log.watch("watched", told)
    told.wait_none()
    old = {name: log.append(name, b"1").position for name in ("watched", "idle")}
    passing(store, 130)
    log.append("busy", b"1")  # whoever appends tidies up
    pages = {name: log.page(name, position) for name, position in old.items()}
    assert (pages["watched"].gap, pages["watched"].head) == (None, old["watched"])
    assert pages["idle"].gap == "reset"
    assert pages["idle"].head.epoch > old["idle"].epoch
    assert log.append("idle", b"2", first=True).stored


@every_kind
def test_log_that_was_lost_begins_another_epoch(make_store: MakeStore) -> None:
    """Whoever comes back with a position of before is told, and is given what is new."""
    store = make_store()
    position = numbered(store.log, range(3))[-1]
    passing(store, 1)
    log = store.lose()
    fresh = numbered(log, range(3, 5))
    assert fresh[0].epoch > position.epoch
    page = log.page("a", position)
    assert (page.gap, read(page)) == ("reset", [3, 4])


@every_kind
def test_watcher_is_told_what_is_appended(make_store: MakeStore) -> None:
    """First None, when nothing is missed any more; then each entry once; nothing once it has gone."""
    log = make_store().log
    told, second = Told(), Told()
    log.watch("a", told)
    told.wait_none()
    log.watch("a", second)
    second.wait_none()
    numbered(log, range(3))
    numbered(log, range(9), "b")
    expected = [b"0", b"1", b"2"]
    assert told.payloads == second.payloads == expected  # by append itself
    assert (told.calls[0], second.calls[0]) == (None, None)
    log.unwatch("a", told)
    numbered(log, range(3, 4))
    second.wait(lambda: second.payloads == [*expected, b"3"])
    assert told.payloads == expected
    log.unwatch("a", second)
    log.unwatch("a", second)  # harmless
    log.watch("a", told)
    told.wait_none(2)
    numbered(log, range(4, 5))
    assert told.payloads == [*expected, b"4"]


@every_kind
def test_log_can_be_used_after_close(make_store: MakeStore) -> None:
    """Also by who watched before."""
    log = make_store().log
    told = Told()
    log.watch("a", told)
    told.wait_none()
    log.close()
    log.close()
    numbered(log, range(1))
    told.wait(lambda: told.calls[-1:] == [None] or told.payloads == [b"0"])
    numbered(log, range(1, 2))
    told.wait(lambda: b"1" in told.payloads)
    assert [entry.payload for entry in log.page("a", None).entries][-1:] == [b"1"]
    log.unwatch("a", told)


@every_kind
@pytest.mark.parametrize("option", ["max_events", "max_bytes", "max_age"])
@pytest.mark.parametrize("value", [0, -1, True, "5", float("nan")])
def test_limit_that_is_no_number_above_zero_is_refused(make_store: MakeStore, option: str, value: object) -> None:
    """By name, with the value."""
    with pytest.raises(ValueError, match=rf"Log\.{option} must be .*not "):
        make_store(**{option: value})


# -- more than one process ---------------------------------------------------------------------------------------


@shared_kinds
def test_what_is_stored_survives_a_restart(make_store: MakeStore) -> None:
    """Positions, keys, seals and leases, for a handle that knows nothing of before."""
    store = make_store()
    positions = numbered(store.log, range(3))
    store.log.append("a", b"3", key="k")
    store.log.append("sealed", b"1", seal=True)
    assert store.log.hold("job", "me", 10)
    store.log.close()
    log = store.open()
    page = log.page("a", positions[0])
    assert (page.gap, read(page)) == (None, [1, 2, 3])
    assert not log.append("a", b"4", key="k").stored
    assert not log.append("a", b"4", first=True).stored
    with pytest.raises(SealedError):
        log.append("sealed", b"2")
    assert log.holder("job") == "me"


@shared_kinds
def test_handles_agree(make_store: MakeStore) -> None:
    """On order, keys, seals and leases."""
    store = make_store()
    one, two = store.log, store.open()
    head = one.page("a", None).head
    for number in range(6):
        (one if number % 2 else two).append("a", b"%d" % number)
    for log in one, two:
        assert (log.page("a", head).gap, read(log.page("a", head))) == (None, list(range(6)))
    assert one.append("a", b"6", key="k").position == two.append("a", b"7", key="k").position
    two.append("a", b"8", seal=True)
    with pytest.raises(SealedError):
        one.append("a", b"9")
    assert one.hold("job", "one", 10)
    assert not two.hold("job", "two", 10)
    assert two.holder("job") == "one"


@shared_kinds
def test_watcher_is_told_what_others_append(make_store: MakeStore) -> None:
    """Once and in order, from one channel to the next."""
    store = make_store()
    told, aside = Told(), Told()
    store.log.watch("a", told)
    store.log.watch("b", aside)
    told.wait_none()
    aside.wait_none()
    other = store.open()
    for number in range(20):
        other.append("a", b"%d" % number)
        other.append("c", b"x")
    told.wait(lambda: len(told.payloads) >= 20)
    other.append("b", b"1")
    aside.wait(lambda: aside.payloads == [b"1"])
    assert told.payloads == [b"%d" % number for number in range(20)]


@shared_kinds
def test_writers_in_two_processes_lose_nothing_and_share_no_offset(make_store: MakeStore) -> None:
    """At the same time, while a third process watches and reads page by page."""
    store = make_store(now=time)
    code = """
        log = {log}
        for number in range(300):
            log.append("a", b"{name} %d" % number)
        log.close()
    """
    told = Told()
    store.log.watch("a", told)
    told.wait_none()
    at = store.log.page("a", None).head
    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(python, code.format(log=store.code(), name=name), prelude="") for name in "xy"]
        for job in jobs:
            job.result()
    found = []
    while entries := store.log.page("a", at).entries:
        found += entries
        at = entries[-1].position
    assert [entry.position.offset for entry in found] == list(range(1, 601))
    for name in b"x", b"y":
        mine = [entry.payload for entry in found if (entry.payload or b"").startswith(name)]
        assert mine == [b"%b %d" % (name, number) for number in range(300)]
    told.wait(lambda: None in told.calls[1:] or len(told.payloads) >= 600)
    assert len(told.payloads) == len(set(told.payloads))
