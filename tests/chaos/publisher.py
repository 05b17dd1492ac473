"""A process that publishes 1, 2, 3, … on two channels until it is told to stop, each number until it is stored.

It lives through everything that happens to the log, as a process must that is to notice a log that went back in time.
Now and then it publishes as fast as it can for a while, which is more than all listeners can take at once.

    python -m tests.chaos.publisher LOG RATE SEED BURST

For each line of its standard input it prints one of JSON: for each channel `last`, the last number so far, and the
numbers of which some attempt had no answer, `unanswered`. At the end of the input it publishes one last number on each
channel and prints once more.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Self

from streamkit import Event
from streamkit.channels import Channels
from streamkit.errors import LogUnavailableError
from tests.rig.apps.numbers import NUMBERS, OTHERS, open_log
from tests.rig.servers import ROOT

SLOWER = 4
"""One of so many numbers goes to the second channel as well."""

BURST = 200
"""Numbers that come at once."""

_PARENT = os.getppid()


@dataclass
class Published:
    """What was published on one channel."""

    last: int = 0
    unanswered: list[int] = field(default_factory=list)

    def publish(self, channels: Channels, channel: str) -> None:
        """Publish the next number until it is stored."""
        self.last += 1
        item = Event(self.last, event=None if channel == NUMBERS else channel)
        while True:
            try:
                channels.publish_sync(channel, item, key=str(self.last))
                return
            except LogUnavailableError as error:
                if os.getppid() != _PARENT:
                    raise  # the test is gone
                if self.last not in self.unanswered[-1:]:
                    self.unanswered.append(self.last)
                sys.stderr.write(f"{time.time():.3f} {self.last}: {error}\n")
                time.sleep(0.05)


def main() -> None:
    """Publish until standard input ends."""
    channels, pause, dice = Channels(open_log(sys.argv[1])), 1 / float(sys.argv[2]), random.Random(sys.argv[3])
    stop = threading.Event()
    published = {NUMBERS: Published(), OTHERS: Published()}
    threading.Thread(target=_answer, args=(published, stop), daemon=True).start()
    numbers = published[NUMBERS]
    due, burst, most = time.monotonic(), 0, int(sys.argv[4])
    while not stop.wait(max(0.0, due - time.monotonic())):
        numbers.publish(channels, NUMBERS)
        if numbers.last % SLOWER == 0:
            published[OTHERS].publish(channels, OTHERS)
        burst = most if dice.random() < 1 / 1000 else burst - 1
        # What an outage kept back is not caught up with.
        due = max(due, time.monotonic() - 0.1) + (0 if burst > 0 else pause)
    for channel, each in published.items():
        each.publish(channels, channel)
    _say(published)


def _answer(published: dict[str, Published], stop: threading.Event) -> None:
    for _ in sys.stdin:
        _say(published)
    stop.set()


def _say(published: dict[str, Published]) -> None:
    sys.stdout.write(json.dumps({channel: asdict(each) for channel, each in published.items()}) + "\n")
    sys.stdout.flush()


class Publisher:
    """The process, as the test holds it; a context manager that ends it.

    Args:
        log: As `open_log` takes it.
        rate: Numbers a second.
        seed: Of when a burst comes.
        burst: How many numbers one has.
    """

    def __init__(self, log: str, rate: float, seed: int, burst: int = BURST) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.publisher", log, str(rate), str(seed), str(burst)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def next_numbers(self) -> dict[str, int]:
        """Return numbers that will be stored later than now."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline() or "{}")
        assert said, self.errors()
        return {channel: each["last"] + 1 for channel, each in said.items()}

    def stop(self, within: float) -> dict[str, Published]:
        """Have it publish its last numbers; return what it has published."""
        try:
            said, _ = self._process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the publisher has not stopped within {within} s:\n{self.errors()}") from None
        assert self._process.returncode == 0, self.errors()
        return {channel: Published(**each) for channel, each in json.loads(said).items()}

    def errors(self) -> str:
        """Return what it wrote to stderr."""
        self._errors.seek(0)
        return self._errors.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(5.0)
        self._errors.close()


if __name__ == "__main__":
    main()
