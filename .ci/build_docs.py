"""Build the documentation as a site in .cache/docs/site, strictly: any warning, broken link or anchor is a failure.

The pages are laid out as the site has them: those of docs/, and beside them the changelog, the other papers of the
repository's top and the examples with their code. A link to what the site lacks, a test say, becomes its text. Every
page has a place in the navigation: one that matches no pattern of NAVIGATION fails the build; a pattern may match none.
"""

from __future__ import annotations

import ast
import json
import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".cache" / "docs"

# Of several patterns that match a page the longest has it. Within a pattern pages are in the order of their names.
NAVIGATION = {
    "Start": (
        "index.md",
        "quickstart/flask.md",
        "quickstart/django.md",
        "quickstart/fastapi.md",
        "quickstart/starlette.md",
        "quickstart/wsgi-and-asgi.md",
        "examples/README.md",
        "examples/*/README.md",
    ),
    "Guides": (
        "formats.md",
        "channels.md",
        "resume.md",
        "detached.md",
        "llm.md",
        "ui-messages.md",
        "middleware.md",
        "client.md",
        "testing.md",
        "doctor.md",
        "shutdown.md",
        "*.md",
    ),
    "How to": (
        "how-to/llm-chat.md",
        "how-to/progress.md",
        "how-to/notifications.md",
        "how-to/exports.md",
        "how-to/resume.md",
        "how-to/topics.md",
        "how-to/auth-and-cors.md",
        "how-to/limits.md",
        "how-to/*.md",
        "how-to/deploying.md",
        "how-to/shutting-down.md",
        "how-to/metrics.md",
    ),
    "Migrating": ("how-to/migrat*.md",),
    "Deploying": (
        "deploy/README.md",
        "deploy/servers.md",
        "deploy/nginx.md",
        "deploy/*.md",
    ),
    "Explanation": (
        "explanation.md",
        "contract.md",
        "performance.md",
        "scale.md",
        "clients.md",
        "peer-defects.md",
        "security.md",
        "questions.md",
        "design.md",
        "decisions.md",
        "api-notes.md",
    ),
    "Reference": (
        "reference/README.md",
        "reference/streamkit.md",
        "reference/responses.md",
        "reference/flask.md",
        "reference/django.md",
        "reference/fastapi.md",
        "reference/starlette.md",
        "reference/wsgi.md",
        "reference/asgi.md",
        "reference/errors.md",
        "reference/channels*.md",
        "reference/llm*.md",
        "reference/*.md",
        "reference/doctor.md",
    ),
    "Project": ("changelog.md", "contributing.md", "security-policy.md"),
}

# What stands outside docs/ and is a page all the same. The names differ in more than their case: not every disk tells.
PAPERS = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security-policy.md"}

# The rest of an example is no page; its code is shown below its README.
EXAMPLES = ("examples/README.md", "examples/*/README.md")

_FENCED = re.compile(r"^ *(```+|~~~+).*?^ *\1 *$", re.DOTALL | re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")


def navigation(pages: list[str]) -> list[dict[str, list[str]]]:
    """Return the pages in their sections.

    Raises:
        ValueError: A page has no place.
    """
    sections: dict[str, list[list[str]]] = {title: [[] for _ in patterns] for title, patterns in NAVIGATION.items()}
    for page in sorted(pages, key=lambda page: page.removesuffix(".md")):
        places = [
            (len(pattern), title, index)
            for title, patterns in NAVIGATION.items()
            for index, pattern in enumerate(patterns)
            if fnmatch(page, pattern) and page.count("/") == pattern.count("/")
        ]
        if not places:
            raise ValueError(f"{page} has no place in NAVIGATION of {Path(__file__).name}")
        _, title, index = max(places)
        sections[title][index].append(page)
    return [{title: [page for place in places for page in place]} for title, places in sections.items() if any(places)]


def relinked(text: str, move: Callable[[str], str | None]) -> str:
    """Return a page with each link led to where `move` says, or made its text where that says None; not in code."""

    def replace(link: re.Match[str]) -> str:
        target = move(link[2])
        return link[1] if target is None else f"[{link[1]}]({target})"

    parts, last = [], 0
    for fence in _FENCED.finditer(text):
        parts += [_LINK.sub(replace, text[last : fence.start()]), fence[0]]
        last = fence.end()
    return "".join([*parts, _LINK.sub(replace, text[last:])])


def moved(link: str, source: str, places: dict[str, str]) -> str | None:
    """Return a link of the file `source` as it is on the site, or None where the site has nothing there."""
    if urlsplit(link).scheme or link.startswith(("#", "/")):
        return link
    path, mark, fragment = link.partition("#")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    place = places.get(target) or places.get(f"{target}/README.md")
    if place is None:
        # Below docs/ it is a broken link, and the generator's to report.
        return link if target.startswith("docs/") else None
    return posixpath.relpath(place, posixpath.dirname(places[source]) or ".") + mark + fragment


def lay_out(pages: Path) -> list[str]:
    """Write all that the site is made of to `pages`; return the names of the pages."""
    known = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "docs", *EXAMPLES, *PAPERS],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    files = [name for name in known if (ROOT / name).is_file()]
    places = {name: PAPERS.get(name) or name.removeprefix("docs/") for name in files}
    places["README.md"] = "index.md"
    for name in files:
        target = pages / places[name]
        target.parent.mkdir(parents=True, exist_ok=True)
        if not name.endswith(".md"):
            shutil.copy(ROOT / name, target)
            continue
        text = (ROOT / name).read_text(encoding="utf-8")
        text = relinked(text, lambda link, name=name: moved(link, name, places))  # type: ignore[misc]
        if fnmatch(name, "examples/*/README.md"):
            text += "".join(with_code((ROOT / name).parent))
        target.write_text(text, encoding="utf-8")
    return [places[name] for name in files if name.endswith(".md")]


def with_code(example: Path) -> Iterator[str]:
    """Yield a section for each Python file of an example."""
    for path in sorted(example.glob("*.py")):
        yield f"\n## {path.name}\n\n````python\n{path.read_text(encoding='utf-8')}````\n"


class Page(HTMLParser):
    """What a built page links to, and what can be linked to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect from one element."""
        for name, value in attrs:
            if name in {"href", "src"} and value is not None and tag != "link":
                self.links.append(value)
            elif name in {"id", "name"} and value:
                self.anchors.add(value)


def broken(site: Path) -> Iterator[str]:
    """Yield a sentence for each link of the built pages that leads nowhere."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html") if path.name != "404.html"}
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            fragment = unquote(parts.fragment)
            if not target.exists():
                yield f"{path.relative_to(site)}: {link} leads nowhere"
            elif fragment and target in pages and fragment not in pages[target].anchors:
                yield f"{path.relative_to(site)}: {link} has no such anchor"


def public(module: str) -> list[str]:
    """Return the `__all__` of a module that is not imported."""
    path = ROOT / module.replace(".", "/")
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    return []


def unexplained(site: Path) -> Iterator[str]:
    """Yield a sentence for each public name that the built reference does not have."""
    anchors = {
        anchor for path in site.glob("reference/**/*.html") for anchor in Page(path.read_text(encoding="utf-8")).anchors
    }
    for path in sorted((ROOT / "streamkit").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if "._" not in module:
            yield from (
                f"{module}.{name} is not in the built reference"
                for name in public(module)
                # An error that `streamkit` has too is explained where all errors are.
                if anchors.isdisjoint({f"{module}.{name}", f"streamkit.errors.{name}"})
            )


def main() -> int:
    """Build the site; return 1 where it has a fault."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    pages = lay_out(FOLDER / "pages")
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    tree = json.dumps(navigation(pages))  # which is YAML too
    (FOLDER / "mkdocs.yml").write_text(f"{settings}nav: {tree}\n", encoding="utf-8")
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    built = subprocess.run(
        command, cwd=FOLDER, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    # What griffe finds wrong in a docstring it only says.
    if built.returncode or "griffe:" in built.stdout:
        print(_COLOUR.sub("", built.stdout))
        return 1
    site = FOLDER / "site"
    faults = [*broken(site), *unexplained(site)]
    print("\n".join(faults or [f"built {len(pages)} pages: {(site / 'index.html').relative_to(ROOT)}"]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
