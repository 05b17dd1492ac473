"""The import gates fail where a third-party package or a module of ours is imported from the wrong place.

The contracts of import-linter are run as pyproject.toml writes them, over a package of empty modules with one fault.
"""

import subprocess
import sys
from pathlib import Path

import check_imports
import pytest

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
PURE = ["errors", "_headers", "_json", "_format", "sse", "ndjson", "jsonseq", "text", "decode", "_negotiation"]
ADAPTERS = ["wsgi", "asgi", "flask", "django", "starlette", "fastapi"]
PACKAGES = ["__init__", "_engine/__init__", "channels/__init__", "llm/__init__"]
MODULES = [*PURE, "pipe", *ADAPTERS, *PACKAGES]


def package(root: Path, faults: dict[str, str]) -> Path:
    """Write the modules of streamkit under `root`, empty but for the source in `faults`."""
    for module in {*MODULES, *faults}:
        path = root / "streamkit" / f"{module}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(faults.get(module, ""), encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("flask", "import flask"),
        ("django", "from django.http import StreamingHttpResponse"),
        ("_engine/_gevent", "def f():\n    import gevent"),
        ("channels/redis", "import redis.asyncio"),
        ("_json", "import orjson"),
        ("sse", "import json, collections.abc\nfrom streamkit import errors\nfrom . import text"),
        ("asgi", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from asgiref.typing import Scope"),
    ],
)
def test_package_is_imported_by_the_module_of_its_name(tmp_path: Path, module: str, source: str) -> None:
    """These are the places that may know a package."""
    assert list(check_imports.check(package(tmp_path, {module: source}))) == []


@pytest.mark.parametrize(
    ("module", "source", "failure"),
    [
        ("sse", "import flask", "1: flask belongs into a module of that name"),
        ("_engine/pump", "\ndef f():\n    import gevent", "3: gevent belongs into a module of that name"),
        (
            "django",
            "try:\n    import orjson\nexcept ImportError:\n    pass",
            "2: orjson belongs into a module of that name",
        ),
        ("asgi", "import asgiref.typing", "1: asgiref is for types: import it under TYPE_CHECKING"),
        (
            "asgi",
            "import typing\nif typing.TYPE_CHECKING:\n    pass\nelse:\n    import asgiref",
            "5: asgiref is for types: import it under TYPE_CHECKING",
        ),
    ],
)
def test_package_imported_elsewhere_is_named(tmp_path: Path, module: str, source: str, failure: str) -> None:
    """An import counts wherever it stands, in a function or a try too."""
    failures = list(check_imports.check(package(tmp_path, {module: source})))
    assert failures == [f"streamkit/{module}.py:{failure}"]


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Run the contracts of pyproject.toml over the package under `root`."""
    command = (
        "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command; lint_imports_command()"
    )
    arguments = [sys.executable, "-c", command, "--config", str(PYPROJECT), "--no-cache"]
    return subprocess.run(arguments, cwd=root, capture_output=True, text=True, check=False)


def test_modules_that_import_downwards_keep_the_contract(tmp_path: Path) -> None:
    """The direction that the design draws is the one that passes."""
    good = {
        "sse": "from streamkit import errors",
        "_engine/__init__": "from streamkit import sse",
        "asgi": "from streamkit import _engine",
        "starlette": "from streamkit import asgi",
        "fastapi": "from streamkit import starlette",
        "channels/__init__": "from streamkit import errors",
    }
    finished = lint_imports(package(tmp_path, good))
    assert finished.returncode == 0, finished.stdout


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("errors", "from streamkit import sse"),
        ("_json", "from streamkit import _headers"),
        ("decode", "from streamkit import _engine"),
        ("_engine/__init__", "from streamkit import asgi"),
        ("wsgi", "from streamkit import asgi"),
        ("flask", "from streamkit import django"),
        ("starlette", "from streamkit import fastapi"),
        ("flask", "from streamkit import channels"),
        ("pipe", "def f():\n    from streamkit import llm"),
        ("newcomer", ""),
    ],
)
def test_import_against_the_direction_breaks_the_contract(tmp_path: Path, module: str, source: str) -> None:
    """So does a module that has no place in the contract yet."""
    finished = lint_imports(package(tmp_path, {module: source}))
    assert finished.returncode == 1
    assert "1 broken" in finished.stdout
    assert module.partition("/")[0] in finished.stdout
