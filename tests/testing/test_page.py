"""The files of docs/testing.md run as they stand there; and a Django TestCase, which needs a project of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
FILE = re.compile(r"^```python\n# (\S+\.py)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

DJANGO = """
import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not one",
)
django.setup()

from django.contrib.auth.models import User
from django.test import TestCase
from django.test.runner import DiscoverRunner
from django.urls import path

from streamkit.django import EventStreamResponse, NDJSONResponse
from streamkit.testing import open_stream


def names(user):
    yield from User.objects.order_by("username").values_list("username", flat=True)
    yield user.username


async def names_async(user):
    async for name in User.objects.order_by("username").values_list("username", flat=True):
        yield name
    yield user.username


def view(request):
    assert User.objects.exists()
    return EventStreamResponse(names(request.user), request=request)


async def async_view(request):
    user = await request.auser()
    return NDJSONResponse(names_async(user), request=request)


urlpatterns = [path("sync", view), path("async", async_view)]


class Streams(TestCase):
    def setUp(self):
        self.ann = User.objects.create(username="ann")

    def test_what_is_not_committed_is_seen(self):
        self.client.force_login(self.ann)
        with open_stream(self.client, "GET", "/sync") as names:
            self.assertEqual([event.data for event in names], ["ann", "ann"])
        self.assertEqual(User.objects.count(), 1)

    async def test_async_client_sees_it_too(self):
        await self.async_client.aforce_login(self.ann)
        async with open_stream(self.async_client, "GET", "/async") as names:
            self.assertEqual(await names.take(2), ["ann", "ann"])


if __name__ == "__main__":
    raise SystemExit(DiscoverRunner(verbosity=0).run_tests([__name__]))
"""


def test_files_of_the_page_pass(pytester: pytest.Pytester) -> None:
    """Those for unittest among them."""
    files = FILE.findall(PAGE.read_text(encoding="utf-8"))
    assert len(files) == 5
    for name, text in files:
        (pytester.path / name).write_text(text, encoding="utf-8")
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=6)


def test_every_block_of_python_is_a_file() -> None:
    """None is shown that is not run."""
    assert len(FILE.findall(PAGE.read_text(encoding="utf-8"))) == PAGE.read_text(encoding="utf-8").count("```python")


def test_test_case_of_django_shares_its_transaction(tmp_path: Path) -> None:
    """Sync and async client, logged in by force."""
    script = tmp_path / "streams.py"
    script.write_text(DJANGO, encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Ran 2 tests" in done.stderr
