"""The rules for what is no stream at all: no answer, another status, a page instead of events. Pure."""

from __future__ import annotations

import re

from streamkit._headers import media_type
from streamkit.client._reader import DECODERS
from streamkit.doctor._observation import Finding, Observation

# The one type that EventSource takes (WHATWG HTML, 9.2.2).
EVENTS = "text/event-stream"

_PASSWORD = re.compile(rb"<input[^>]*type=[\"']?password", re.IGNORECASE)

_STATUSES = {
    204: ("the server says that the stream is over (204)", "a browser does not come back after it"),
    401: ("the server wants a login (401)", "--header 'Authorization: …' or --header 'Cookie: …'"),
    403: ("the server refuses (403)", "--token, where it is the probe; --header 'Cookie: …', where it is the app"),
    404: ("there is nothing at this address (404)", "mount the probe, or name the path of a stream"),
    405: ("the server takes no GET here (405)", "name a path that answers GET"),
    407: ("a proxy on this side wants a login (407)", "set HTTPS_PROXY with a user, or NO_PROXY"),
    426: ("something on the way refuses this version of HTTP (426)", "proxy_http_version 1.1; in nginx before Envoy"),
    429: ("the server takes no more requests now (429)", "wait, or take the limit off this path"),
    502: ("a proxy has no valid answer of the server (502)", "look into the log of the proxy"),
    503: ("the server takes no more streams now (503)", "wait, or raise its limit"),
    504: ("a proxy has waited in vain for the server's answer (504)", "send the head at once; raise its read time-out"),
}


def content_type(seen: Observation) -> str:
    """Return the media type of an answer, without parameters, in lower case."""
    return media_type(seen.headers.get("content-type", ""))


def failure(seen: Observation) -> Finding | None:
    """Return why an answer is no stream, None where it is one."""
    if seen.status is None:
        return Finding("error", "error", seen.fault or "there was no answer")
    if 300 <= seen.status < 400:
        return _redirect(seen)
    if seen.status != 200:
        says, cure = _STATUSES.get(seen.status, (f"the server answered with {seen.status}", "look into its log"))
        return Finding("not-a-stream", "error", says + _said(seen), cure=cure)
    kind = content_type(seen)
    if kind not in DECODERS:
        return _other_type(seen, kind)
    return None


def _said(seen: Observation) -> str:
    """Quote a short plain answer, such as the probe's own refusal."""
    if content_type(seen) != "text/plain" or not 0 < len(seen.body) <= 200:
        return ""
    words = "".join(char for char in seen.body.decode(errors="replace") if char.isprintable())
    return f": {words.strip()}"


def _redirect(seen: Observation) -> Finding:
    target = seen.headers.get("location", "")
    evidence = f"the answer is a redirect ({seen.status}) to {target:.200}"
    if re.search(r"log-?in|sign-?in|auth|sso", target, re.IGNORECASE):
        return Finding("not-a-stream", "error", f"{evidence}: a login page", cure="--header 'Cookie: …'")
    if target.partition("?")[0].endswith("/"):
        evidence += ": the slash at its end"
    return Finding("not-a-stream", "error", evidence, cure="name the address that it leads to")


def _other_type(seen: Observation, kind: str) -> Finding:
    if kind == "text/html":
        what = "a login page" if _PASSWORD.search(seen.body) else "an HTML page"
        cure = "--header 'Cookie: …'" if what == "a login page" else "name the path of a stream"
        return Finding("not-a-stream", "error", f"the answer is {what}", cure=cure)
    looks = " but its body looks like events" if re.match(rb"(data|event|id|retry)?:", seen.body) else ""
    evidence = f"the answer is {kind or 'of no type'}{looks}; EventSource takes {EVENTS} alone"
    return Finding("not-a-stream", "error", evidence, cure=f"Content-Type: {EVENTS}" if looks else "")


def unjudged(seen: Observation, why: str = "") -> Finding:
    """Return the finding that says that nothing can be said."""
    if seen.ending == "timeout":
        why = why or f"only {len(seen.frames)} events came in {seen.ended_at:.0f} s"
    if 0 < len(seen.frames) == seen.variant.frames:
        why = why or "events came too irregularly to judge: this machine, the other or the line is busy"
    why = why or seen.fault or f"only {len(seen.frames)} events came"
    return Finding("error", "warning", why)
