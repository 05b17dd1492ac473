"""How many workers, how much memory and how many Valkeys: multiplication, and the assumptions that it rests on.

A worker is a process on a core of its own. It is planned to be busy for half of its time, since what comes in bursts
must fit into the other half, and to hold no more connections than were ever measured on one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from benchmarks.scale.costs import Costs

BUSY = 0.5
"""The share of its core that a worker, or a Valkey, is planned to use."""

WORKER_CONNECTIONS = 10_000
"""Connections of one worker, at most."""

KEEPALIVE, PROBE = 15.0, 30.0
"""Seconds of silence: streamkit's own defaults."""

SIZES = (10_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class Profile:
    """What the connections of an app do.

    Attributes:
        name: What the table calls it.
        source: `"own"`: each client has a channel of its own, published to by others. `"shared"`: all have one channel.
            `"generator"`: the view yields, and the client's own channel is silent. `"detached"`: a worker publishes
            what a generator yields to the client's own channel.
        active: The share of clients that are sent anything.
        rate: Events that each of these is sent in a second.
        data: Bytes of data of an event.
        max_age: Seconds for which the log keeps an event.
        probe: See `RedisLog`.
    """

    name: str
    source: Literal["own", "shared", "generator", "detached"]
    active: float
    rate: float
    data: int = 200
    max_age: float = 3600.0
    probe: float = PROBE

    def silences(self, interval: float) -> float:
        """Return how often in a second a client has had nothing for `interval` seconds."""
        return (1 - self.active) / interval + self.active * max(0.0, 1 / interval - self.rate)


PROFILES = (
    Profile("notifications, 1 a minute", "own", 1.0, 1 / 60),
    Profile("the same, `probe=600`", "own", 1.0, 1 / 60, probe=600.0),
    Profile("chat, 20 tokens/s to 5 %", "generator", 0.05, 20.0, data=5, probe=600.0),
    Profile("the same, detached", "detached", 0.05, 20.0, data=5, max_age=120.0, probe=600.0),
    Profile("ticker, 5 a second to all", "shared", 1.0, 5.0),
)


@dataclass(frozen=True)
class Plan:
    """What a number of connections takes.

    Attributes:
        busy: Cores that all workers together use.
        workers: Processes, each with a core.
        memory: Bytes of all workers, and of the kernel for their sockets.
        traffic: Bytes of events in a second.
        valkey_busy: Cores that Valkey would use.
        valkeys: Servers.
        valkey_memory: Bytes of all of them.
    """

    busy: float
    workers: int
    memory: float
    traffic: float
    valkey_busy: float
    valkeys: int
    valkey_memory: float


def plan(costs: Costs, profile: Profile, connections: int) -> Plan:
    """Return what so many connections of a profile take."""
    own = profile.source != "shared"
    events = profile.active * profile.rate * connections
    each = {
        "own": costs.own_event,
        "shared": costs.delivery,
        "generator": costs.token,
        "detached": costs.own_event + costs.publish,
    }[profile.source]
    probes = profile.silences(profile.probe) * connections if own else 0.0
    busy = events * each + profile.silences(KEEPALIVE) * connections * costs.keepalive + probes * costs.probe
    workers = max(math.ceil(connections / WORKER_CONNECTIONS), math.ceil(busy / BUSY))
    connection_memory = (costs.own_memory if own else costs.shared_memory) + costs.kernel_memory
    valkey_busy = _valkey_busy(costs, profile, events, workers) + probes * costs.valkey_probe
    channels = connections if own else 1
    # On average; `max_events` is for each channel.
    stored = min(10_000.0, profile.active * profile.rate * profile.max_age) if profile.source != "generator" else 0.0
    return Plan(
        busy=busy,
        workers=workers,
        memory=workers * costs.worker_memory + connections * connection_memory,
        traffic=events * (profile.data + (costs.token_frame if profile.source == "generator" else costs.frame)),
        valkey_busy=valkey_busy,
        valkeys=math.ceil(valkey_busy / BUSY),
        valkey_memory=channels * (costs.valkey_channel + stored * costs.valkey_event),
    )


def _valkey_busy(costs: Costs, profile: Profile, events: float, workers: int) -> float:
    """Return the cores that publishing takes: an event of all is one event, and is handed to each worker."""
    if profile.source == "generator":
        return 0.0
    if profile.source == "shared":
        return profile.rate * (costs.valkey_publish + workers * costs.valkey_message)
    return events * (costs.valkey_publish + costs.valkey_message)
