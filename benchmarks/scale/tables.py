"""The tables of docs/scale.md, as text. Whatever they show is computed here from one file of measured costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.scale.costs import Costs, Measured, Restart
from benchmarks.scale.plan import PROBE, PROFILES, SIZES, WORKER_CONNECTIONS, plan
from benchmarks.scale.storm import BROWSER_RETRY, TENTH, Outcome, Storm, busiest, deviation, simulate, tenths
from streamkit._engine.life import RECONNECT

GIB, MICRO = 2**30, 1e-6
MISSED = 10
"""Events that a client in the simulated storms has missed."""


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table of Markdown, the first column to the left and the others to the right."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("| --- |", "|---|") for line in lines)


def digits(value: float) -> str:
    """Write a number with two digits that count, and without more where it is large."""
    if value >= 10:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


# -- what one costs ----------------------------------------------------------------------------------------------


def costs(measured: Measured) -> str:
    """Show the costs themselves."""
    found = measured.costs
    rows = [
        ["a worker without connections", f"{found.worker_memory / 2**20:.0f} MiB", "", ""],
        *[
            [what, *cells]
            for what, *cells in (
                ["an idle connection, many to one channel", _kib(found.shared_memory), "", ""],
                ["an idle connection with a channel of its own", _kib(found.own_memory), "", ""],
                ["its socket, in the kernel", _kib(found.kernel_memory), "", ""],
                ["a keepalive", "", _us(found.keepalive), ""],
                ["an event of one channel to one of many clients", "", _us(found.delivery), _us(found.valkey_message)],
                ["an event to the one client of a channel", "", _us(found.own_event), _us(found.valkey_message)],
                ["a token that the view yields", "", _us(found.token), ""],
                ["connect, many to one channel", "", _us(found.shared_connect), ""],
                ["connect, a channel of its own", "", _us(found.connect), _us(found.valkey_connect)],
                ["read what a client has missed", "", _us(found.read), _us(found.valkey_read)],
                ["… and for each event of it", "", _us(found.replay), _us(found.valkey_replay)],
                ["look at a silent channel again (`probe`)", "", _us(found.probe), _us(found.valkey_probe)],
                ["publish an event", "", _us(found.publish), _us(found.valkey_publish)],
                ["a channel with one event, in Valkey", _kib(found.valkey_channel), "", ""],
                ["a further event, in Valkey", _kib(found.valkey_event), "", ""],
            )
        ],
    ]
    return table(["one", "memory", "CPU of the worker", "CPU of Valkey"], rows)


def _kib(size: float) -> str:
    return f"{size / 1024:.1f} KiB"


def _us(seconds: float) -> str:
    return f"{digits(seconds / MICRO)} µs"


# -- what many take ----------------------------------------------------------------------------------------------


def sizes(measured: Measured) -> str:
    """Show workers, memory and Valkeys by profile and number of connections."""
    rows = []
    for profile in PROFILES:
        for number, connections in enumerate(SIZES):
            found = plan(measured.costs, profile, connections)
            name = profile.name if number == 0 else ""
            rows.append(
                [
                    name,
                    f"{connections:,}",
                    f"{found.workers:,}",
                    digits(found.busy),
                    digits(found.memory / GIB),
                    digits(found.traffic * 8 / 1e6),
                    digits(found.valkey_busy) if found.valkey_busy else "0",
                    str(found.valkeys),
                    digits(found.valkey_memory / GIB),
                ]
            )
    columns = ["", "connections", "workers", "cores busy", "GiB", "Mbit/s", "Valkey cores busy", "Valkeys", "GiB"]
    return table(columns, rows)


def saturation(measured: Measured) -> str:
    """Show what one Valkey does in a second when its one core is all busy."""
    found = measured.costs
    rows = [
        ["events, each to a channel of its own", _per_second(found.valkey_publish + found.valkey_message)],
        *[
            [f"events of a channel to which {workers:,} workers listen", _per_second(_heard_by(found, workers))]
            for workers in (10, 100, 1_000)
        ],
        ["clients that come back, each to a channel of its own", _per_second(found.valkey_connect)],
        [f"the same, with {MISSED} events missed", _per_second(_return(found))],
        ["silent channels that are looked at again", _per_second(found.valkey_probe)],
        [f"so many silent channels with `probe={PROBE:g}`", f"{_two_digits(PROBE / found.valkey_probe):,}"],
        ["so many with `probe=600`", f"{_two_digits(600 / found.valkey_probe):,}"],
    ]
    return table(["one Valkey", "at most"], rows)


def _heard_by(found: Costs, workers: int) -> float:
    return found.valkey_publish + workers * found.valkey_message


def _return(found: Costs) -> float:
    """Return what a client costs Valkey that comes back and has missed something."""
    return found.valkey_connect + found.valkey_read + MISSED * found.valkey_replay


def _per_second(cost: float) -> str:
    return f"{_two_digits(1 / cost):,} a second"


def _two_digits(value: float) -> int:
    return int(float(f"{value:.2g}"))


# -- when all come back ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A row of the table of storms, and a line of the picture where it has a short name."""

    name: str
    storm: Storm
    line: str = ""


STARTING = 1.0
"""Seconds in which a worker starts."""

RANDOM = (1.0, 60.0)
"""Seconds that the app of the last rows tells each stream."""


def cases(measured: Measured) -> list[Case]:
    """Return the restarts that are compared: of all workers at once, and of one of ten."""
    found, leaving = measured.costs, measured.leaving * WORKER_CONNECTIONS
    spread = RECONNECT[1] - RECONNECT[0]
    service = found.connect + found.read + MISSED * found.replay
    cut = Storm(WORKER_CONNECTIONS, jitter=RECONNECT, leaving=leaving, down=leaving + STARTING, service=service)
    finished = replace(cut, retry=(BROWSER_RETRY, BROWSER_RETRY), jitter=(0.0, 0.0))
    killed = replace(finished, leaving=0.0, down=STARTING)
    later = replace(cut, retry=(10.0, 10.0), jitter=(0.0, spread))
    chosen = replace(later, retry=RANDOM)

    def one_of_ten(storm: Storm) -> Storm:
        return replace(storm, down=0.0, workers=9)

    return [
        Case("all workers: killed", killed, "killed"),
        Case('all: `drain="finish"`, cut off after its grace', finished),
        Case('all: `drain="cut"` or `"auto"`', cut, "drain=cut"),
        Case("the same, `retry=10_000`", later, "retry=10_000"),
        Case("the same, `retry=` at random, 1 to 60 s", chosen, "retry at random, 1 to 60 s"),
        Case("one worker of ten: killed", one_of_ten(killed)),
        Case('one: `drain="finish"`, cut off after its grace', one_of_ten(finished)),
        Case('one: `drain="cut"` or `"auto"`', one_of_ten(cut)),
        Case("the same, `retry=` at random, 1 to 60 s", one_of_ten(chosen)),
    ]


def storms(measured: Measured) -> str:
    """Show how a restart of a worker with all the clients it may have comes out."""
    rows = []
    for case in cases(measured):
        outcome, capacity = simulate(case.storm), case.storm.capacity
        rows.append(
            [
                case.name,
                f"{outcome.peak:,.0f}",
                f"{capacity:,.0f}",
                f"{outcome.peak / capacity:.1f}",
                f"{outcome.longest:.1f} s",
                f"{outcome.begun[-1]:.0f} s",
            ]
        )
    columns = ["10,000 clients of", "peak, connects/s", "capacity", "peak/capacity", "longest wait", "all back after"]
    return table(columns, rows)


def valkey_storm(measured: Measured) -> str:
    """Show what all clients at once ask of Valkey, in cores."""
    found, rows = measured.costs, []
    cost = _return(found)
    for clients in SIZES:
        windows = (RECONNECT[1] - RECONNECT[0], RANDOM[1] - RANDOM[0], 600.0)
        rows.append([f"{clients:,}", *(digits(clients * cost / window) for window in windows)])
    return table(
        ["clients, each with a channel", 'in the 4 s of `"cut"`', "in 1 to 60 s at random", "in 10 minutes, rolling"],
        rows,
    )


# -- against a real one ------------------------------------------------------------------------------------------


def simulated(measured: Measured, seen: Restart) -> Outcome:
    """Return what the simulation makes of a restart that was measured."""
    found = measured.costs
    service = found.shared_connect + found.read + seen.missed * found.replay
    if seen.killed:
        return simulate(Storm(seen.clients, retry=(BROWSER_RETRY, BROWSER_RETRY), down=seen.down, service=service))
    return simulate(Storm(seen.clients, jitter=RECONNECT, leaving=seen.gone, down=seen.down, service=service))


def check(measured: Measured) -> str:
    """Show the measured restarts, each beside the simulated one."""
    pairs = [(seen, simulated(measured, seen)) for seen in measured.restarts]
    columns, rows = list[str](), list[list[str]]()
    for seen, outcome in pairs:
        columns += [f"{seen.how}: measured", "simulated"]
        ours = tenths(outcome.begun)
        both = (seen.connects, ours)
        rows.append(
            [
                *(f"{busiest(counts):,}" for counts in both),
                *(f"{count:,}" for count in (seen.refused, outcome.refused)),
                *(f"{_reached(counts, percent):.1f} s" for percent in (10, 50, 90, 100) for counts in both),
                "",
                f"{deviation(seen.connects, ours) * 100:.1f} %",
            ]
        )
    names = ["busiest second", "refused meanwhile", *(f"back after: {percent} %" for percent in (10, 50, 90, 100))]
    lines = [
        [name, *(cell for row in rows for cell in row[2 * place : 2 * place + 2])]
        for place, name in enumerate([*names, "farthest apart, of all clients"])
    ]
    return table([f"{pairs[0][0].clients:,} clients", *columns], lines)


def _reached(counts: Sequence[int], percent: float) -> float:
    """Return the second at whose end so many per cent were back."""
    total = 0
    for place, count in enumerate(counts):
        total += count
        if total >= sum(counts) * percent / 100:
            return (place + 1) * TENTH
    raise AssertionError("all of them are all")


def machine(measured: Measured) -> str:
    """Say what was measured on."""
    versions = ", ".join(f"{name} {version}" for name, version in measured.versions.items())
    return f"Measured on {measured.date}: {measured.machine}; {versions}."


TABLES: dict[str, Callable[[Measured], str]] = {
    "machine": machine,
    "costs": costs,
    "sizes": sizes,
    "saturation": saturation,
    "storms": storms,
    "valkey-storm": valkey_storm,
    "check": check,
}
