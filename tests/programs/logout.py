"""News for users that are logged in; a logout ends their streams.

Run: flask --app logout run
"""

import time
from collections.abc import Iterator

from flask import Flask, Response, session

from streamkit import Event, close_streams
from streamkit.flask import EventStreamResponse

app = Flask(__name__)
app.secret_key = "of this program"


def news() -> Iterator[Event]:
    """Give news for ever."""
    number = 0
    while True:
        yield Event({"news": number}, id=number)
        number += 1
        time.sleep(0.02)


@app.post("/login/<user>")
def login(user: str) -> str:
    """Begin a session."""
    session["user"] = user
    return user


@app.get("/news")
def stream() -> Response:
    """Stream to a user; 204 tells the EventSource of anybody else not to come back."""
    if "user" not in session:
        return Response(status=204)
    return EventStreamResponse(news(), key=session["user"])


@app.post("/logout")
def logout() -> dict[str, int]:
    """End the session and its streams in this process; each worker has its own."""
    return {"closed": close_streams(session.pop("user"))}
