"""How many workers and Valkeys: by round costs, so that each result can be worked out on paper."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from benchmarks.scale.costs import FILE, Costs, Measured, load, save
from benchmarks.scale.plan import Profile, plan

NOTHING = Costs(**dict.fromkeys((field.name for field in fields(Costs)), 0.0))


def test_silence_is_counted_between_events_and_for_all_who_get_none() -> None:
    """At one event a minute a keepalive every 15 s is due three times; at one a second never."""
    assert Profile("", "own", 1.0, 1 / 60).silences(15.0) == pytest.approx(3 / 60)
    assert Profile("", "own", 1.0, 1.0).silences(15.0) == 0.0
    assert Profile("", "own", 0.25, 1.0).silences(15.0) == pytest.approx(0.75 / 15)


def test_workers_are_planned_by_their_processor_where_that_is_what_they_lack() -> None:
    """A million deliveries of 10 µs are ten cores, at half of each core twenty workers; memory goes with both."""
    costs = replace(NOTHING, delivery=10e-6, worker_memory=100.0, shared_memory=3.0, kernel_memory=1.0)
    found = plan(costs, Profile("", "shared", 1.0, 10.0), 100_000)
    assert found.busy == pytest.approx(10.0)
    assert found.workers == 20
    assert found.memory == 20 * 100.0 + 100_000 * 4.0


def test_workers_are_planned_by_their_connections_where_nothing_happens() -> None:
    """None has more than were ever measured."""
    assert plan(NOTHING, Profile("", "own", 0.0, 0.0), 10_001).workers == 2


def test_event_of_all_is_published_once_and_handed_to_each_worker() -> None:
    """Ten workers: one publish and ten messages, five times a second."""
    costs = replace(NOTHING, valkey_publish=0.01, valkey_message=0.001)
    found = plan(costs, Profile("", "shared", 1.0, 5.0), 100_000)
    assert found.workers == 10
    assert found.valkey_busy == pytest.approx(5 * (0.01 + 10 * 0.001))
    assert found.valkeys == 1


def test_event_of_one_is_published_for_each_client() -> None:
    """A thousand clients with one event a second: a thousand publishes, a thousand messages."""
    costs = replace(NOTHING, valkey_publish=0.002, valkey_message=0.001, own_event=0.001)
    found = plan(costs, Profile("", "own", 1.0, 1.0), 1_000)
    assert found.valkey_busy == pytest.approx(3.0)
    assert found.valkeys == 6
    assert found.busy == pytest.approx(1.0)


def test_silent_channels_are_read_again_and_a_shared_one_is_none() -> None:
    """3,000 channels with a probe every 30 seconds are 100 a second, on both sides."""
    costs = replace(NOTHING, probe=0.001, valkey_probe=0.002)
    own = plan(costs, Profile("", "own", 0.0, 0.0), 3_000)
    assert own.busy == pytest.approx(0.1)
    assert own.valkey_busy == pytest.approx(0.2)
    assert plan(costs, Profile("", "shared", 0.0, 0.0), 3_000).busy == 0.0


def test_tokens_of_a_generator_pass_valkey_by_and_those_of_a_detached_one_do_not() -> None:
    """Nor are they kept; a detached one is published by the worker itself, and kept for `max_age`."""
    costs = replace(
        NOTHING, token=0.001, own_event=0.002, publish=0.003, valkey_publish=0.01, valkey_event=7.0, token_frame=2.0
    )
    plain = plan(costs, Profile("", "generator", 0.5, 2.0, data=3), 100)
    assert plain.busy == pytest.approx(0.1)
    assert plain.valkey_busy == plain.valkey_memory == 0.0
    assert plain.traffic == 100 * 5.0
    detached = plan(costs, Profile("", "detached", 0.5, 2.0, max_age=10.0), 100)
    assert detached.busy == pytest.approx(0.5)
    assert detached.valkey_busy == pytest.approx(1.0)
    assert detached.valkey_memory == 100 * 10 * 7.0


def test_channel_keeps_no_more_than_its_log_allows() -> None:
    """`max_events` is 10,000."""
    found = plan(replace(NOTHING, valkey_event=1.0), Profile("", "own", 1.0, 100.0), 2)
    assert found.valkey_memory == 2 * 10_000


@pytest.fixture
def measured() -> Measured:
    """Read the file that the tables of the docs are made of."""
    return load()


def test_file_is_read_as_it_was_written(measured: Measured, tmp_path: Path) -> None:
    """With three digits of each cost."""
    save(replace(measured, costs=replace(measured.costs, token=0.0000123456)), tmp_path / "costs.json")
    again = load(tmp_path / "costs.json")
    assert again.costs == replace(measured.costs, token=0.0000123)
    assert asdict(again)["restarts"] == asdict(measured)["restarts"]


@pytest.mark.parametrize(
    ("costs", "message"),
    [({"token": 0.0}, "cost token must be above zero, not 0.0"), ({"nonsense": 1.0}, "must have the costs")],
)
def test_file_with_a_cost_of_nothing_or_an_unknown_one_is_refused(
    tmp_path: Path, costs: dict[str, float], message: str
) -> None:
    """A measurement that failed is no cost of zero."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    content["costs"] |= costs
    path = tmp_path / "costs.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        load(path)


def test_file_names_no_machine_and_no_path() -> None:
    """It says what kind of machine it was."""
    content = FILE.read_text(encoding="utf-8")
    assert "/" not in content
    assert set(json.loads(content)) == {"machine", "date", "versions", "costs", "restarts"}
