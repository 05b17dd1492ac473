"""The clients in Python, a program: each reads one stream and tells `Heard` what it gets, as an app that uses it would.

What a client raises is raised. Run in a process of its own, since what is imported here is large.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tests.clients.heard import LAST, Heard, with_text
from tests.rig.requirements import executable

if TYPE_CHECKING:
    import httpx

WITHIN = 20.0
"""Seconds that a client waits for the next byte."""


@cache
def _http(kind: type[Any] | None = None) -> Any:
    """Return one HTTP client for all of a kind: each would read the certificates of the machine anew, for nothing."""
    import httpx

    return (kind or httpx.Client)(verify=SSLContext(PROTOCOL_TLS_CLIENT), timeout=WITHIN)


@contextmanager
def _get(url: str, last_event_id: str = "") -> Iterator[httpx.Response]:
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last_event_id} if last_event_id else {})}
    with _http().stream("GET", url, headers=headers) as response:
        yield response


def _by_hand(read: Callable[[str, str, Heard], Iterator[str]]) -> Callable[[str, Heard], None]:
    """Make a client that is called again after a failure, with the last id that it gave."""

    def listen(url: str, heard: Heard) -> None:
        import httpx
        import httpx2

        last = ""
        while True:
            try:
                for id in read(url, last, heard):
                    last = id
                break
            except (httpx.TransportError, httpx2.TransportError) as exc:
                heard.ended(f"raises `{type(exc).__name__}`; by hand")

    return listen


def httpx_sse(url: str, last: str, heard: Heard) -> Iterator[str]:
    """Read with httpx-sse; yield ids."""
    from httpx_sse import EventSource

    with _get(url, last) as response:
        for event in EventSource(response).iter_sse():
            heard.event(event.event, event.data)
            yield event.id


def httpx2_sse(url: str, last: str, heard: Heard) -> Iterator[str]:
    """Read with the event streams of httpx2; yield ids."""
    from httpx2 import Client

    with _http(Client).sse(url, headers={"Last-Event-ID": last} if last else {}) as source:
        for event in source:
            heard.event(event.event, event.data)
            yield event.id or ""


def sseclient(url: str, last: str, heard: Heard) -> Iterator[str]:
    """Read with sseclient-py; yield ids."""
    from sseclient import SSEClient

    with _get(url, last) as response:
        for event in SSEClient(response.iter_bytes()).events():
            heard.event(event.event, event.data)
            yield event.id or ""


class ComesBackError(Exception):
    """A client is about to wait for seconds and to come back."""


def aiohttp_sse(url: str, heard: Heard) -> None:
    """Read with aiohttp-sse-client, which comes back by itself after a clean end."""
    from aiohttp_sse_client.client import EventSource

    def comes_back() -> None:
        raise ComesBackError

    async def listen() -> None:
        async with EventSource(url, on_error=comes_back) as source:
            async for event in source:
                if heard.event(event.type or "message", event.data):
                    break

    asyncio.run(listen())


def streamkit_client(url: str, heard: Heard) -> None:
    """Read with our own, which comes back by itself."""
    from streamkit.client import Reconnection, connect_sync

    def comes_back(error: Exception | None, seconds: float) -> None:
        heard.ended("comes back")
        if heard.close is not None:
            raise ComesBackError

    back = Reconnection(on_reconnect=comes_back)
    with connect_sync(url, client=_http(), reconnection=back, until=lambda event: event.event in LAST) as events:
        for event in events:
            heard.event(event.event or "message", event.data)


def openai(url: str, heard: Heard) -> None:
    """Read with openai-python."""
    from openai import DefaultHttpxClient, OpenAI

    client = OpenAI(base_url=url, api_key="none", max_retries=0, http_client=_http(DefaultHttpxClient))
    stream = client.chat.completions.create(model="none", messages=[{"role": "user", "content": "Hello"}], stream=True)
    for chunk in stream:
        heard.text(chunk.choices[0].delta.content or "")


def anthropic(url: str, heard: Heard) -> None:
    """Read with anthropic-python."""
    from anthropic import Anthropic, DefaultHttpxClient

    client = Anthropic(base_url=url, api_key="none", max_retries=0, http_client=_http(DefaultHttpxClient))
    with client.messages.stream(model="none", max_tokens=9, messages=[{"role": "user", "content": "Hello"}]) as stream:
        for text in stream.text_stream:
            heard.text(text)


def httpx_lines(url: str, heard: Heard) -> None:
    """Read NDJSON with httpx."""
    with _get(url) as response:
        for line in response.iter_lines():
            heard.row(json.loads(line))


def pandas(url: str, heard: Heard) -> None:
    """Read NDJSON with pandas, from the URL itself."""
    import pandas as pd

    for row in pd.read_json(url, lines=True).to_dict("records"):
        heard.row({key: value for key, value in row.items() if isinstance(value, str)})


def polars(url: str, heard: Heard) -> None:
    """Read NDJSON with polars, which reads no URL whose length is unknown."""
    import polars as pl

    with urllib.request.urlopen(url, timeout=WITHIN) as response:
        for row in pl.read_ndjson(response.read()).to_dicts():
            heard.row(row)


def duckdb(url: str, heard: Heard) -> None:
    """Read NDJSON with DuckDB, from a file: its HTTP extension is not in the package."""
    import duckdb

    with TemporaryDirectory() as folder, duckdb.connect() as database:
        file = Path(folder) / "rows.ndjson"
        _curl("-o", str(file), url)
        found = database.execute("FROM read_ndjson(?)", [str(file)])
        names = [column[0] for column in found.description or ()]
        for row in found.fetchall():
            heard.row(dict(zip(names, row, strict=True)))


def curl_jq(url: str, heard: Heard) -> None:
    """Read NDJSON with curl and jq."""
    for line in _jq(_curl(url), "--compact-output", "."):
        heard.row(json.loads(line))


def curl_jq_seq(url: str, heard: Heard) -> None:
    """Read a JSON text sequence with curl and jq."""
    for line in _jq(_curl(url), "--seq", "--compact-output", "."):
        heard.row(json.loads(line.removeprefix("\x1e")))


class CurlError(Exception):
    """The status with which curl has ended."""


def _curl(*args: str) -> bytes:
    command = [str(executable("curl")), "--silent", "--no-buffer", "--fail", "--max-time", str(WITHIN)]
    done = subprocess.run([*command, *args], check=False, capture_output=True, timeout=2 * WITHIN)
    if done.returncode:
        raise CurlError(done.returncode)
    return done.stdout


def _jq(text: bytes, *args: str) -> list[str]:
    done = subprocess.run([str(executable("jq")), *args], check=True, input=text, capture_output=True, timeout=WITHIN)
    return done.stdout.decode().split("\n")[:-1]


LISTENERS: dict[str, Callable[[str, Heard], None]] = {
    "httpx-sse": _by_hand(httpx_sse),
    "httpx2, `client.sse()`": _by_hand(httpx2_sse),
    "sseclient-py": _by_hand(sseclient),
    "aiohttp-sse-client": aiohttp_sse,
    "streamkit.client": streamkit_client,
    "openai, Python": openai,
    "anthropic, Python": anthropic,
    "httpx, `iter_lines()`": httpx_lines,
    "curl, jq": curl_jq,
    "pandas, `read_json(lines=True)`": pandas,
    "polars, `read_ndjson`": polars,
    "duckdb, `read_ndjson`": duckdb,
    "curl, `jq --seq`": curl_jq_seq,
}


def hear_one(name: str, place: dict[str, str | None]) -> dict[str, Any]:
    """Have a client listen to one stream; return what it has heard."""

    def close() -> None:
        with urllib.request.urlopen(str(place["close"]), timeout=WITHIN) as response:
            response.read()

    heard = Heard(close if place["close"] else None)
    try:
        LISTENERS[name](str(place["url"]), heard)
    except ComesBackError:
        heard.ended("comes back")
    except CurlError as exc:
        heard.ended(f"curl exits with {exc}")
    except Exception as exc:
        heard.ended(f"raises `{type(exc).__name__}`{with_text(str(exc))}")
        heard.words = repr(exc)
    heard.ended("ends")
    return {"texts": heard.texts, "others": heard.others, "end": heard.end, "words": heard.words}


def hear(name: str, traps: dict[str, dict[str, str | None]]) -> dict[str, Any]:
    """Have a client listen to one stream after the other."""
    return {trap: hear_one(name, place) for trap, place in traps.items()}


def main(orders: list[dict[str, Any]]) -> None:
    """Do what `hear` of heard.mjs does."""
    with ThreadPoolExecutor(sum(order["at_once"] for order in orders)) as pool:
        found = [{name: pool.submit(hear, name, traps) for name, traps in order["plan"].items()} for order in orders]
        print(json.dumps([{name: future.result() for name, future in site.items()} for site in found]))  # noqa: T201


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
