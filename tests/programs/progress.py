"""The progress of a job that knows callbacks only.

Run: flask --app progress run
"""

import threading
from collections.abc import Callable

from flask import Flask

from streamkit import Event, Pipe, PipeClosedError
from streamkit.flask import EventStreamResponse

app = Flask(__name__)


def convert(name: str, on_progress: Callable[[int], object]) -> None:
    """Stand for a library's function that reports how far it is."""
    for percent in (0, 50, 100):
        on_progress(percent)
    if name == "broken":
        raise ValueError("the file is broken")


def work(name: str, pipe: Pipe) -> None:
    """Run the job in a thread; it stops where the browser has left."""
    try:
        with pipe:  # closes it at the end, with the error if there was one
            convert(name, pipe.put)
    except PipeClosedError:
        print("nobody waits for", name)  # noqa: T201
    except ValueError as error:
        print(name, "failed:", error)  # noqa: T201 - the stream was cut by it


@app.get("/convert/<name>")
def stream(name: str) -> EventStreamResponse:
    """Start the job and stream its progress."""
    pipe = Pipe()
    threading.Thread(target=work, args=(name, pipe)).start()
    return EventStreamResponse(pipe, end=Event("", event="done"))
