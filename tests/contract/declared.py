"""The columns of the contract, and what a server or an interface makes impossible in them.

A limit is a promise that somebody else's code breaks. It names the test, where it holds and the reason; there the test
is expected to fail, strictly, so that the day it starts to work is noticed. What does not apply at all, such as an
await in a source that cannot await, is said by the promise itself and no limit.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.rig.scenarios import Mode
from tests.rig.servers import SERVERS, Interface, ServerKind

MODES: tuple[Mode, ...] = ("sync", "async")

ADAPTERS = {
    "asgi": ("tests.rig.apps.asgi:app", ()),
    "starlette": ("tests.rig.apps.starlette:app", ("starlette",)),
    "fastapi-return": ("tests.rig.apps.fastapi_return:app", ("fastapi",)),
    "fastapi-yield": ("tests.rig.apps.fastapi_yield:app", ("fastapi",)),
    "django-asgi": ("tests.rig.apps.django:asgi_app", ("django",)),
    "wsgi": ("tests.rig.apps.wsgi:app", ()),
    "flask": ("tests.rig.apps.flask:app", ("flask",)),
    "django-wsgi": ("tests.rig.apps.django:wsgi_app", ("django",)),
}

ON_ASGI = ("asgi", "starlette", "fastapi-return", "fastapi-yield", "django-asgi")
ON_WSGI = ("wsgi", "flask", "django-wsgi")

IN_PROCESS = "in-process"


@dataclass(frozen=True)
class Column:
    """One adapter on one server; `server` None means driven in process."""

    adapter: str
    interface: Interface
    server: ServerKind | None

    @property
    def place(self) -> str:
        """The server's name."""
        return self.server.name if self.server else IN_PROCESS

    @property
    def id(self) -> str:
        """What test ids say: the server, then the adapter."""
        return f"{self.place}-{self.adapter}"

    @property
    def app(self) -> str:
        """Where the application is, as servers want to hear it."""
        return ADAPTERS[self.adapter][0]

    @property
    def parts(self) -> tuple[str, ...]:
        """What must be installed."""
        return ADAPTERS[self.adapter][1] + (self.server.parts if self.server else ())


def places(interface: Interface) -> list[ServerKind | None]:
    """Return where the adapters of an interface run: in process first."""
    # gunicorn's uvicorn worker is uvicorn; it is in the rig for shutdown, where gunicorn's arbiter matters.
    return [
        None,
        *(kind for kind in SERVERS.values() if kind.interface == interface and kind.name != "gunicorn-uvicorn"),
    ]


COLUMNS = [
    *(Column(adapter, "asgi", place) for place in places("asgi") for adapter in ON_ASGI),
    *(Column(adapter, "wsgi", place) for place in places("wsgi") for adapter in ON_WSGI),
]


@dataclass(frozen=True)
class Limit:
    """A promise that cannot be kept in some columns, and why; empty tuples mean all."""

    test: str
    reason: str
    servers: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    modes: tuple[Mode, ...] = ()

    def holds(self, test: str, column: Column, mode: str) -> bool:
        """Say whether this limit is about a test in a column."""
        return (
            test == self.test
            and (not self.servers or column.place in self.servers)
            and (not self.adapters or column.adapter in self.adapters)
            and (not self.modes or mode in self.modes)
        )


_DAPHNE_ABORT = "Daphne logs an application's error and leaves the connection open, neither cut nor ended."
_DAPHNE_LOG = "Daphne stops reporting errors with the first one that comes after a head; later ones are lost."
_DAPHNE_PRESSURE = "Daphne takes everything at once and keeps it in memory: its `send` never waits for the client."
_DAPHNE_TURN = "Daphne writes when the event loop gets its next turn, which a source that blocks it does not give."
_DJANGO_HEAD = (
    "Django sends the head before it first asks a response for content; `primed` in the view is the way there."
)
_GRANIAN_END = "Granian ends a WSGI body cleanly when its iterator raises."
_WAITRESS_HEAD = (
    "Waitress holds the head until the first byte of body that is not empty: here the first keepalive, after 1 s."
)
_WAITRESS_CHUNK = "Waitress sends the terminating chunk of a body also where HEAD allows none."
_ONE_THREAD = (
    "A worker of one thread sits inside the source while that waits: no keepalive, and a client's leaving is noticed at"
    " the second write after it."
)
_ONE_REQUEST = "A worker that serves one request at a time answers no other while a stream is open."

LIMITS: tuple[Limit, ...] = (
    Limit("test_error_in_the_body_cuts_the_stream", _DAPHNE_ABORT, servers=("daphne",)),
    Limit("test_item_that_cannot_be_encoded_cuts_the_stream", _DAPHNE_ABORT, servers=("daphne",)),
    Limit("test_error_in_the_body_is_logged_once", _DAPHNE_LOG, servers=("daphne",)),
    # Under Django the source goes on only when the handler has come back for more: Daphne has had its turn by then.
    Limit(
        "test_source_that_blocks_holds_no_item_back",
        _DAPHNE_TURN,
        servers=("daphne",),
        adapters=tuple(adapter for adapter in ON_ASGI if adapter != "django-asgi"),
    ),
    Limit("test_error_before_the_first_item_is_an_error_response", _DJANGO_HEAD, adapters=("django-asgi",)),
    Limit("test_unread_stream_stops_the_source", _DAPHNE_PRESSURE, servers=("daphne",)),
    Limit("test_leaving_frees_a_source_held_back", _DAPHNE_PRESSURE, servers=("daphne",)),
    Limit("test_error_in_the_body_cuts_the_stream", _GRANIAN_END, servers=("granian-wsgi",)),
    Limit("test_item_that_cannot_be_encoded_cuts_the_stream", _GRANIAN_END, servers=("granian-wsgi",)),
    Limit("test_drain_cuts_what_outlasts_its_grace", _DAPHNE_ABORT, servers=("daphne",)),
    Limit("test_drain_cuts_what_outlasts_its_grace", _GRANIAN_END, servers=("granian-wsgi",)),
    Limit("test_head_leaves_before_the_first_item", _WAITRESS_HEAD, servers=("waitress",)),
    Limit("test_head_request_starts_no_source", _WAITRESS_CHUNK, servers=("waitress",)),
    Limit("test_idle_stream_sends_keepalives", _ONE_THREAD, servers=("gunicorn-sync",), modes=("sync",)),
    Limit(
        "test_waiting_source_is_closed_when_the_client_leaves", _ONE_THREAD, servers=("gunicorn-sync",), modes=("sync",)
    ),
    Limit("test_source_that_never_waits_is_stopped", _ONE_REQUEST, servers=("gunicorn-sync",)),
)


def limit(test: str, column: Column, mode: str) -> Limit | None:
    """Return the limit that holds for a test in a column, if there is one."""
    return next((limit for limit in LIMITS if limit.holds(test, column, mode)), None)
