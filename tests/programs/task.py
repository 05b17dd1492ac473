"""What the worker of a task queue runs: it shares the log with the web app, not the process. See resume.py."""

import os

from streamkit import Event
from streamkit.channels import Channels, LogUnavailableError, SQLiteLog

channels = Channels(SQLiteLog(os.environ.get("EVENTS", "events.db")))


def ship(number: int) -> None:
    """Do the work, then say so; a task that is run again, as queues do, says it once."""
    try:
        channels.publish_sync("orders", Event({"shipped": number}, event="shipped"), key=f"shipped-{number}")
    except LogUnavailableError:
        raise  # let the queue run the task again


if __name__ == "__main__":
    ship(7)
    ship(7)
