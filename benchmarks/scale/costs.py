"""What one of each thing costs, as it was measured: a file that `python -m benchmarks.scale --measure` writes anew.

Times are processor seconds of one core and sizes are bytes, so that whatever is computed from them needs no factor.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

FILE = Path(__file__).with_name("costs.json")


@dataclass(frozen=True)
class Costs:
    """Processor seconds and bytes, each of one thing.

    Attributes:
        worker_memory: A worker without connections.
        own_memory: A connection that subscribes to a channel of its own; of the worker's process.
        shared_memory: One of many connections to one channel.
        kernel_memory: The server's socket of a connection, in the kernel.
        keepalive: A keepalive to one client.
        delivery: An event of one channel to one of many clients, the share of hearing it among them.
        own_event: An event to the one client of a channel.
        token: A token that a generator in the view yields.
        connect: A client that subscribes to a channel of its own, with a position of which nothing follows.
        shared_connect: The same, to a channel to which others of the process subscribe.
        read: Reading the log for one client that has missed something, besides the events.
        replay: An event that a client has missed, read from the log and sent.
        probe: Looking at a silent channel once more.
        publish: Publishing an event, in the process that does.
        frame: Bytes on the wire of an event besides its data, a channel's id among them.
        token_frame: The same without an id, as a view yields it.
        valkey_publish: Of Valkey: an event that is published.
        valkey_message: Of Valkey: handing it to one more process.
        valkey_probe: Of Valkey: a silent channel that is looked at once more.
        valkey_connect: Of Valkey: a channel of its own that a client subscribes to.
        valkey_read: Of Valkey: being read for a client that has missed something, besides the events.
        valkey_replay: Of Valkey: an event that is read again.
        valkey_channel: Memory of Valkey for a channel with one event.
        valkey_event: The same for each further event of 200 bytes.
    """

    worker_memory: float
    own_memory: float
    shared_memory: float
    kernel_memory: float
    keepalive: float
    delivery: float
    own_event: float
    token: float
    connect: float
    shared_connect: float
    read: float
    replay: float
    probe: float
    publish: float
    frame: float
    token_frame: float
    valkey_publish: float
    valkey_message: float
    valkey_probe: float
    valkey_connect: float
    valkey_read: float
    valkey_replay: float
    valkey_channel: float
    valkey_event: float


@dataclass(frozen=True)
class Restart:
    """What was seen when one worker was restarted under its clients.

    Attributes:
        how: What was done to it.
        killed: Whether it had no time to end its streams, so that the clients were told nothing.
        clients: How many there were.
        gone: Seconds from the signal until the old worker had ended all its streams, and itself.
        down: Seconds from the signal until connections were taken again.
        missed: Events that were published meanwhile, to a client on average.
        connects: Clients that had their first event again, in each tenth of a second after the signal.
        refused: Connections that were refused.
    """

    how: str
    killed: bool
    clients: int
    gone: float
    down: float
    missed: float
    connects: Sequence[int]
    refused: int


@dataclass(frozen=True)
class Measured:
    """The file: on what kind of machine, when, and what."""

    machine: str
    date: str
    versions: Mapping[str, str]
    costs: Costs
    restarts: Sequence[Restart]

    @property
    def leaving(self) -> float:
        """Seconds in which a worker ends one stream, and gives its client leave; the shortest that was seen."""
        return min(restart.gone / restart.clients for restart in self.restarts if not restart.killed)


def load(path: Path = FILE) -> Measured:
    """Read the file.

    Raises:
        ValueError: A cost is missing, is unknown, or is not above zero.
    """
    found = json.loads(path.read_text(encoding="utf-8"))
    known = {field.name for field in fields(Costs)}
    if set(found["costs"]) != known:
        raise ValueError(f"{path.name} must have the costs {sorted(known)}, not {sorted(found['costs'])}")
    for name, value in found["costs"].items():
        if not value > 0:
            raise ValueError(f"{path.name}: the cost {name} must be above zero, not {value!r}")
    restarts = [Restart(**restart) for restart in found["restarts"]]
    return Measured(found["machine"], found["date"], found["versions"], Costs(**found["costs"]), restarts)


def save(measured: Measured, path: Path = FILE) -> None:
    """Write the file, each cost to three digits: more were never measured."""
    content = asdict(measured)
    content["costs"] = {name: float(f"{value:.3g}") for name, value in content["costs"].items()}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
