"""Every block of code that a reader is shown is run by a test, or stands here with the reason why it cannot be.

PAGES says of each page how many blocks of which language it has, and which tests run them: a block that is added is
missed here until somebody has said what runs it. tests/chaos/test_broken_blocks.py sees whether that is so.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.pages import FENCE, ROOT, blocks, pages

COMMANDS = "tests/how_to/test_commands.py"
INSTALL = f"{COMMANDS}::test_what_the_pages_install_is_what_the_tests_have"
ASK = f"{COMMANDS}::test_command_that_asks_finds_a_stream"
QUOTED = "tests/proxies/test_pages.py"  # parts of files through which test_frames and its neighbours send streams
EXAMPLE = "tests/examples/test_folders.py"
QUICKSTART = "tests/test_quickstart.py"
PROMPTS = "tests/test_docs.py"
EVERY_PAGE = {COMMANDS, QUOTED, EXAMPLE, QUICKSTART, PROMPTS}
"""Tests that find their pages by themselves."""


class Page(NamedTuple):
    """What a page has, as "LANGUAGE NUMBER, …", and the tests that run it."""

    has: str
    tests: tuple[str, ...] = ()


PAGES = {
    "CONTRIBUTING.md": Page("sh 6", ("tests/gates/test_contributing.py",)),
    "README.md": Page(
        "sh 3, python 10, html 1, http 1, text 1",
        ("tests/test_readme.py", "tests/proxies/test_doctor.py::test_readme_shows_what_the_terminal_shows", INSTALL),
    ),
    "docs/channels.md": Page("python 9, html 1", ("tests/test_channels_page.py", "tests/test_gap_pages.py")),
    "docs/client.md": Page("sh 1, python 4", (INSTALL, "tests/client/test_page.py")),
    "docs/deploy/README.md": Page("sh 2", (INSTALL, ASK, QUOTED)),
    "docs/deploy/apache.md": Page("apache 2, sh 1", (QUOTED, ASK)),
    "docs/deploy/aws.md": Page("yaml 4, sh 2", (QUOTED, "tests/proxies/test_templates.py")),
    "docs/deploy/caddy.md": Page("caddyfile 2, sh 1", (QUOTED, ASK)),
    "docs/deploy/cloud.md": Page("sh 2", (ASK,)),
    "docs/deploy/envoy.md": Page("yaml 2, sh 1", (QUOTED, ASK)),
    "docs/deploy/haproxy.md": Page("haproxy 2, sh 1", (QUOTED, ASK)),
    "docs/deploy/lighttpd.md": Page("lighttpd 2, sh 1", (QUOTED, ASK)),
    "docs/deploy/nginx.md": Page("nginx 4, sh 1", (QUOTED, ASK)),
    "docs/deploy/servers.md": Page("sh 1", (f"{COMMANDS}::test_server_of_the_table_of_servers_streams_and_ends",)),
    "docs/deploy/squid.md": Page("squid 1, sh 1", (QUOTED, ASK)),
    "docs/deploy/traefik.md": Page("yaml 2, sh 1", (QUOTED, ASK)),
    "docs/deploy/varnish.md": Page("vcl 1, sh 1", (QUOTED, ASK)),
    "docs/design.md": Page("plain 1"),
    "docs/detached.md": Page("python 3, html 1, js 1", ("tests/test_detached_page.py",)),
    "docs/doctor.md": Page(
        "sh 3, python 3, json 1", ("tests/doctor/test_docs.py", "tests/doctor/test_cli.py", INSTALL, ASK)
    ),
    "docs/errors.md": Page("pycon 1", (PROMPTS,)),
    "docs/formats.md": Page("pycon 4", (PROMPTS,)),
    "docs/how-to/auth-and-cors.md": Page("python 5, js 3", ("tests/auth",)),
    "docs/how-to/database-sessions-django.md": Page("python 2", ("tests/adapters/test_django_sessions_page.py",)),
    "docs/how-to/database-sessions-fastapi.md": Page("python 2", ("tests/adapters/test_fastapi_sessions.py",)),
    "docs/how-to/database-sessions.md": Page("python 1", ("tests/adapters/test_database_sessions.py",)),
    "docs/how-to/deploying.md": Page("sh 1, text 1", (f"{COMMANDS}::test_server_of_deploying_streams_and_ends", ASK)),
    "docs/how-to/django-rest-framework.md": Page("python 5", ("tests/adapters/test_rest_framework.py",)),
    "docs/how-to/documented-streams.md": Page("python 2, json 1", ("tests/adapters/test_openapi.py",)),
    "docs/how-to/exports.md": Page("python 4, js 1, sh 1", ("tests/how_to/test_exports.py",)),
    "docs/how-to/limits.md": Page("python 2", ("tests/test_how_to.py",)),
    "docs/how-to/llm-chat.md": Page("python 5, js 1", ("tests/how_to/test_llm_chat.py",)),
    "docs/how-to/metrics.md": Page("python 4", ("tests/test_how_to.py",)),
    "docs/how-to/migrating-from-django-eventstream.md": Page(
        "python 7, js 1", ("tests/how_to/test_from_django_eventstream.py",)
    ),
    "docs/how-to/migrating-from-fastapi-sse.md": Page("python 3", ("tests/how_to/test_from_fastapi_sse.py",)),
    "docs/how-to/migrating-from-flask-sse.md": Page("python 4", ("tests/how_to/test_from_flask_sse.py",)),
    "docs/how-to/migrating-from-sse-starlette.md": Page("python 3", ("tests/how_to/test_from_sse_starlette.py",)),
    "docs/how-to/notifications.md": Page("python 4, html 1", ("tests/how_to/test_notifications.py",)),
    "docs/how-to/other-protocols.md": Page("python 5, html 2", ("tests/clients/test_recipes.py",)),
    "docs/how-to/progress.md": Page("python 8", ("tests/how_to/test_progress.py",)),
    "docs/how-to/resume.md": Page(
        "python 2, sh 1",
        ("tests/how_to/test_running.py", f"{COMMANDS}::test_workers_of_resume_share_what_is_published"),
    ),
    "docs/how-to/shutting-down.md": Page(
        "python 2, sh 1, pycon 1",
        ("tests/how_to/test_running.py", f"{COMMANDS}::test_server_of_shutting_down_lets_an_answer_end", PROMPTS),
    ),
    "docs/how-to/topics.md": Page("python 4, js 1", ("tests/how_to/test_topics.py",)),
    "docs/index.md": Page("sh 1", (INSTALL,)),
    "docs/llm.md": Page("python 12", ("tests/test_llm_page.py",)),
    "docs/middleware.md": Page("python 1", ("tests/middleware/test_page.py",)),
    "docs/quickstart/django.md": Page("sh 7, python 3, text 3", (QUICKSTART, INSTALL)),
    "docs/quickstart/fastapi.md": Page("sh 6, python 4, text 3", (QUICKSTART, INSTALL)),
    "docs/quickstart/flask.md": Page("sh 6, python 3, text 2", (QUICKSTART, INSTALL)),
    "docs/quickstart/starlette.md": Page("sh 5, python 3, text 2", (QUICKSTART, INSTALL)),
    "docs/quickstart/wsgi-and-asgi.md": Page("sh 7, python 3, text 3", (QUICKSTART, INSTALL)),
    "docs/reference/doctor.md": Page("text 2", ("tests/test_reference.py",)),
    "docs/reference/responses.md": Page("python 1", ("tests/test_reference.py",)),
    "docs/resume.md": Page("python 4, http 1, html 1", ("tests/test_resume_page.py", "tests/test_gap_pages.py")),
    "docs/scale.md": Page("python 5", ("tests/benchmarks/test_scale_page.py",)),
    "docs/shutdown.md": Page(
        "python 4", ("tests/contract/test_shutdown_processes.py", "tests/test_shutdown_page.py", PROMPTS)
    ),
    "docs/testing.md": Page("python 5", ("tests/testing/test_page.py",)),
    "docs/ui-messages.md": Page("python 8, js 2, jsx 1", ("tests/test_ui_messages_page.py",)),
    "examples/django/README.md": Page("sh 1", (EXAMPLE, INSTALL)),
    "examples/fastapi/README.md": Page("sh 1", (EXAMPLE, INSTALL)),
    "examples/flask/README.md": Page("sh 1", (EXAMPLE, INSTALL)),
}

# Page and language -> the first words of a block that no test runs, and why.
NOT_RUN = {
    ("CONTRIBUTING.md", "sh"): (
        ("make", ".venv/bin/python", "python"),
        "the suite, which cannot run itself, and a release; their targets, paths and programs are looked up",
    ),
    ("README.md", "sh"): (("make",), "the same; what `make demo` starts is run by the tests of the examples"),
    ("docs/design.md", "plain"): (("errors,",), "a picture of the layers, which `make imports` holds"),
    ("docs/deploy/aws.md", "sh"): (
        ("aws", "zip"),
        "nobody has an account there; the templates and the names that the commands give them are checked",
    ),
    ("docs/deploy/cloud.md", "sh"): (("gcloud",), "nobody has an account there; the page says so"),
}


def written(page: Path) -> str:
    """Return the blocks of a page as the table has them."""
    count = Counter(block.language or "plain" for block in blocks(page))
    return ", ".join(f"{language} {number}" for language, number in count.items())


def test_every_block_of_every_page_is_declared() -> None:
    """One more, or one in another language, is a failure: say which test runs it, and see that one fail without it."""
    found = {page.relative_to(ROOT).as_posix(): written(page) for page in pages()}
    declared = {name: page.has for name, page in PAGES.items()}
    assert {name: sorted(has.split(", ")) for name, has in found.items() if has} == {
        name: sorted(has.split(", ")) for name, has in declared.items()
    }


def test_every_fence_belongs_to_a_block() -> None:
    """A block that is not seen is not counted."""
    for page in pages():
        rest = FENCE.sub("", page.read_text(encoding="utf-8"))
        assert re.findall(r"^ *(?:```|~~~)", rest, re.MULTILINE) == [], page


def test_tests_of_a_page_are_there_and_name_it() -> None:
    """A page that was renamed is renamed there too."""
    for name, page in PAGES.items():
        for test in page.tests:
            file, _, function = test.partition("::")
            path = ROOT / file
            texts = [each.read_text(encoding="utf-8") for each in (path.glob("*.py") if path.is_dir() else [path])]
            assert file in EVERY_PAGE or any(Path(name).name in text for text in texts), (name, test)
            assert any(f"def {function}" in text for text in texts), test


def test_what_is_not_run_is_there() -> None:
    """An exemption that nothing needs is taken away."""
    for (name, language), (begins, _) in NOT_RUN.items():
        texts = [block.text for block in blocks(ROOT / name) if (block.language or "plain") == language]
        for word in begins:
            assert any(text.split()[0] == word for text in texts), (name, word)
