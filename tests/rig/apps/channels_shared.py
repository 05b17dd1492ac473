"""What the apps with channels have in common: the channels, and how a query asks for a subscription."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from streamkit import Event, StreamPolicy
from streamkit.channels import Channels, MemoryLog, Subscription
from tests.rig.sidedoor import open_side_door

KEPT = 20
"""Events; a quarter of them may be hidden before a client's id has to move."""

POLICY = StreamPolicy(keepalive=0.3, retry=100)

channels = Channels(MemoryLog(max_events=KEPT))

open_side_door()


def subscription(query: Mapping[str, str], after: str | None) -> Subscription:
    """Return what /events streams: `show=even` or `none` filters, `on_gap=snapshot` makes one."""
    options: dict[str, Any] = {"caught_up": "caught_up" in query}
    if "show" in query:
        options["visible"] = _is_even if query["show"] == "even" else lambda _: False
    if "on_gap" in query:
        options["on_gap"] = query["on_gap"] if query["on_gap"] != "snapshot" else lambda _: {"all": True}
    return channels.subscribe(query.get("channel", "a"), after=after, **options)


def _is_even(event: Event) -> bool:
    return bool(event.data["n"] % 2 == 0)


def item(query: Mapping[str, str]) -> Event:
    """Return what /publish publishes: a number, with a type where one is asked for."""
    return Event({"n": json.loads(query["n"])}, event=query.get("type"))


def state() -> dict[str, Any]:
    """Return what /state answers."""
    return {"subscribers": channels.subscribers("a")}
