"""The commands `streamkit doctor` and `streamkit tail`. Needs click, rich and httpx.

Exit codes of the doctor: 0 streams, 1 buffers, 2 broken or unknown, also for a wrong option. None of them prints a
traceback for what a network or a server does.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

try:
    import click
    from rich.console import Console

    from streamkit.doctor import _tail as tailing
    from streamkit.doctor import _terminal as terminal
    from streamkit.doctor._examine import Diagnosis, examine
    from streamkit.doctor._fetch import Target
except ImportError as _exc:
    raise ImportError(f'the command needs more than the library: pip install "streamkit-http[cli]" ({_exc})') from _exc

from streamkit.doctor._page import page
from streamkit.doctor._report import EXIT_CODES, as_json, between

INTERRUPTED = 130  # as shells say it, for no verdict was reached


def _url(value: str) -> str:
    """Return an http or https address with a host."""
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or any(char.isspace() or not char.isprintable() for char in value):
        raise click.BadParameter(f"a URL begins with http:// or https:// and a host; got {value!r}")
    return value


def _field(value: str) -> tuple[str, str]:
    """Return the name and value of a header, written as curl takes it."""
    name, colon, text = value.partition(":")
    token = name.replace("-", "").replace("_", "")
    if not colon or not (token.isascii() and token.isalnum()) or not text.isprintable() or not text.isascii():
        raise click.BadParameter(f"a header is 'Name: value'; got {value!r}")
    return name, text.strip()


def _finite(context: click.Context, parameter: click.Parameter, value: float) -> float:
    """Return a number of seconds; `nan` is in every range."""
    if not math.isfinite(value):
        raise click.BadParameter(f"seconds are a number; got {value!r}", context, parameter)
    return value


_header = click.option(
    "-H", "--header", "headers", type=_field, metavar="HEADER", multiple=True, help="A header of each request."
)
_insecure = click.option("-k", "--insecure", is_flag=True, help="Take any certificate.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def streamkit() -> None:
    """Look at HTTP streams: event streams and NDJSON."""


@streamkit.command()
@click.argument("url", type=_url, metavar="URL")
@_header
@_insecure
@click.option("--token", envvar="STREAMKIT_PROBE_TOKEN", help="The token of the probe; or STREAMKIT_PROBE_TOKEN.")
@click.option(
    "--timeout",
    default=30.0,
    type=click.FloatRange(1, 3600),
    callback=_finite,
    help="Seconds for all.",
    show_default=True,
)
@click.option(
    "--idle",
    default=0.0,
    type=click.FloatRange(0, 300),
    callback=_finite,
    help="Also test SECONDS of silence.",
    metavar="SECONDS",
)
@click.option("--compare", type=_url, metavar="URL", help="A second address of the same app, further inside.")
@click.option("--json", "as_json_", is_flag=True, help="Print JSON.")
@click.option(
    "--html", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write a page with a picture."
)
def doctor(
    *,
    url: str,
    headers: Sequence[tuple[str, str]],
    insecure: bool,
    token: str | None,
    timeout: float,
    idle: float,
    compare: str | None,
    as_json_: bool,
    html: Path | None,
) -> int:
    """Say whether events arrive as they are sent, and what holds them where they do not.

    URL is a stream, or better the probe of the server (see docs/doctor.md).
    Exit code: 0 streams, 1 buffers, 2 broken or unknown.
    """
    fields = dict(headers)
    target = Target(url, fields, token or None, insecure, timeout, idle)
    found = [_examine(target, quiet=as_json_)]
    if compare is not None:
        found.append(_examine(Target(compare, fields, token or None, insecure, timeout, idle), quiet=as_json_))
    if html is not None:
        html.write_text(page(found), encoding="utf-8")
    _print(found, as_json_=as_json_)
    return EXIT_CODES[found[0].verdict]


def _examine(target: Target, *, quiet: bool) -> Diagnosis:
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        return asyncio.run(examine(target, lambda *_: None))
    with console.status("") as status:

        def tell(doing: str, over: int, of: int) -> None:
            status.update(f"{doing} … {over} of {of}" if of > 1 else f"{doing} …")

        return asyncio.run(examine(target, tell))


def _print(found: Sequence[Diagnosis], *, as_json_: bool) -> None:
    if as_json_:
        report = as_json(found[0])
        if len(found) == 2:
            report |= {"compared": as_json(found[1]), "between": between(*found)}
        click.echo(json.dumps(report, indent=2))
        return
    console = Console(highlight=False)
    for diagnosis in found:
        terminal.show(console, diagnosis)
    if len(found) == 2:
        terminal.show_one_line(console, between(*found))


@streamkit.command()
@click.argument("url", type=_url, metavar="URL")
@_header
@_insecure
@click.option("--last-event-id", help="Go on after this id.")
@click.option("--until", metavar="TYPE", help="End at an event of this type, such as done.")
@click.option("--once", is_flag=True, help="Do not connect again when the stream ends.")
@click.option("--json", "as_json_", is_flag=True, help="Print each event as a line of JSON.")
def tail(
    *,
    url: str,
    headers: Sequence[tuple[str, str]],
    insecure: bool,
    last_event_id: str | None,
    until: str | None,
    once: bool,
    as_json_: bool,
) -> int:
    """Read an event stream or NDJSON, decoded, and connect again with Last-Event-ID as a browser does."""
    asked = tailing.Asked(url, dict(headers), insecure, last_event_id, until, once)
    return tailing.tail(asked, tailing.Printer(Console(highlight=False), as_json=as_json_))


def main() -> None:
    """Run the command and leave with its exit code."""
    try:
        code = streamkit(standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        code = exc.exit_code if exc.exit_code != 1 else EXIT_CODES["broken"]
    except OSError as exc:
        click.echo(f"Error: {exc}", err=True)
        code = EXIT_CODES["broken"]
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    sys.exit(code)
