"""Examine one URL: look, see whether it is a probe, run the battery or judge the one stream. Needs httpx."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit, urlunsplit

from streamkit.client._errors import shown
from streamkit.doctor._battery import GZIP, HTTP2, PLAIN, SECOND_ROUND, VARIANTS, Asking, idle_variants
from streamkit.doctor._diagnosis import diagnose, verdict
from streamkit.doctor._fetch import Client, Target, client_of, unresolvable
from streamkit.doctor._observation import Finding, Observation, Variant, Verdict
from streamkit.doctor._recorder import is_card
from streamkit.doctor._seen import Seen
from streamkit.doctor._single import doubtful, judge

LOOK = Variant("stream", "as a browser asks")
WITHOUT = Variant("without gzip", "the same, without gzip")
CUT_SECONDS = 3.0  # after the head of the answer that fails on purpose
IDLE_SLACK = 10.0  # seconds after the silence, in which a stream must go on
_NEVER_AGAIN = {"idle", "active", "cut", "first", "second", "fresh", "fresh-again"}

Tell = Callable[[str, int, int], None]  # what is done now, how many requests are over, of how many


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found at one URL.

    Args:
        url: As it was given, without a user's name and password: a report is passed on.
        verdict: What the findings come to.
        findings: The worst first.
        observations: What each request saw.
        with_probe: Whether a probe answered there.
        seconds: How long it took.
    """

    url: str
    verdict: Verdict
    findings: Sequence[Finding]
    observations: Sequence[Observation]
    with_probe: bool
    seconds: float


async def examine(target: Target, tell: Tell) -> Diagnosis:
    """Return the diagnosis of a URL, within `target.timeout` and the silence that is to be tested."""
    begun = time.monotonic()
    until = begun + target.timeout
    fault = await unresolvable(target.url, until)
    if fault:
        seen = [Observation(LOOK, fault=fault)]
        return _diagnosis(target, judge(seen[0]), seen, begun)
    async with client_of(target) as client:
        tell("looking", 0, 1)
        # Half of the time: where a compressor lets nothing through, there must be some left to ask without.
        look = await client.observe(LOOK, target.url, accept=GZIP, until=begun + target.timeout / 2, enough=_enough)
        if not is_card(look):
            return await _one_stream(client, look, begun, until)
        seen = await _battery(client, until, tell)
    return _diagnosis(target, diagnose(seen), seen, begun, with_probe=True)


def _diagnosis(
    target: Target, findings: Sequence[Finding], seen: Sequence[Observation], begun: float, *, with_probe: bool = False
) -> Diagnosis:
    return Diagnosis(shown(target.url), verdict(findings), findings, seen, with_probe, time.monotonic() - begun)


def _enough(seconds: float, frames: int, arrivals: int) -> bool:
    """Tell when a stream that does not end has been seen for long enough."""
    return (frames >= 40 and arrivals >= 5 and seconds >= 2) or (frames >= 3 and seconds >= 12)


async def _one_stream(client: Client, look: Observation, begun: float, until: float) -> Diagnosis:
    seen = [look]
    if doubtful(look):
        seen.append(await client.observe(WITHOUT, client.target.url, accept=PLAIN, until=until, enough=_enough))
    if all(one.status is None and one.ending == "timeout" for one in seen):
        seen = [replace(look, fault=f"there was no answer within {client.target.timeout:g} s")]
    return _diagnosis(client.target, judge(*seen), seen, begun)


async def _battery(client: Client, until: float, tell: Tell) -> list[Observation]:
    target = client.target
    asked = [*VARIANTS, *([HTTP2] if urlsplit(target.url).scheme == "https" else [])]
    asked += idle_variants(target.idle) if target.idle else []
    first = await _round(client, asked, until, lambda over, of: tell("measuring", over, of))
    again = _second_round(Seen(first), asked)
    if not again or time.monotonic() > until:
        return first
    second = await _round(client, again, until, lambda over, of: tell("once more, to be sure", over, of))
    return _better(first, second)


async def _round(
    client: Client, asked: Sequence[Asking], until: float, tell: Callable[[int, int], None]
) -> list[Observation]:
    """Send requests in parallel, but for those that wait for another."""
    over = {asking.variant.name: asyncio.Event() for asking in asked}
    words = {word: secrets.token_hex(8) for word in {asking.same_url for asking in asked}}
    count = 0

    async def ask(asking: Asking) -> Observation:
        nonlocal count
        if asking.after in over:
            await over[asking.after].wait()
        silence = asking.variant.silence or (client.target.idle if asking.variant.name == "active" else 0)
        word = secrets.token_hex(8) if asking.same_url is None else words[asking.same_url]
        observation = await client.observe(
            asking.variant,
            _with_query(client.target.url, asking.probe.query(v=word)),
            accept=asking.accept,
            until=until + (silence + IDLE_SLACK if silence else 0),
            http2=asking.http2,
            # A hop that keeps a failure to itself leaves its reader waiting.
            patience=CUT_SECONDS if asking.variant.cut else None,
        )
        over[asking.variant.name].set()
        count += 1
        tell(count, len(asked))
        return observation

    tell(0, len(asked))
    return await asyncio.gather(*map(ask, asked))


def _with_query(url: str, query: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, query)))))


def _second_round(seen: Seen, asked: Iterable[Asking]) -> list[Asking]:
    """Return what is asked once more: whatever was held or failed; and larger and longer, where nothing came early."""
    names = {one.variant.name for one in asked} - _NEVER_AGAIN
    again = [one for one in asked if one.variant.name in names and not seen.streams_at_once(one.variant.name)]
    plain, bulk = seen.shape("plain"), seen.shape("bulk")
    if plain is not None and plain.kind == "whole" and (bulk is None or bulk.worst > 0.4 * plain.worst):
        again += SECOND_ROUND
    return again


def _better(first: Sequence[Observation], second: Sequence[Observation]) -> list[Observation]:
    """Return of each variant the answer that says most: no buffer streams, but what is busy may look like one."""
    found = {observation.variant.name: observation for observation in first}
    before, again = Seen(first), Seen(second)
    for observation in second:
        name = observation.variant.name
        if name not in found or _says(again, name) > _says(before, name):
            found[name] = observation
    return list(found.values())


def _says(seen: Seen, name: str) -> int:
    """Rank how much the answer to a variant says."""
    good = 3 * seen.streams(name) + seen.streams_at_once(name)
    return good + 2 * seen.held(name) + (seen.observation(name) is not None)
