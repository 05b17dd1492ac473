"""What is public is said in one place, is documented, and is the same in every adapter."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import re
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

import streamkit
from streamkit import errors
from streamkit._engine.response import OPTIONS

ROOT = Path(__file__).parent.parent
ADAPTERS = ["wsgi", "asgi", "flask", "django", "starlette", "fastapi"]
OPTIONAL = ["channels", "channels.redis", "client", "llm", "llm.chat_completions", "llm.ui_messages", "openapi"]
PUBLIC = ["", *ADAPTERS, *OPTIONAL, "doctor.probe_app", "rest_framework", "testing"]

OF_ONE = {"fastapi": {"LastEventID"}}
"""What one adapter has beside the names of all: its framework injects the id into an endpoint."""

SPREAD = {"decode", "jsonseq", "ndjson", "pipe", "sse", "text"}
"""Modules whose public names are those that `streamkit` itself has of them."""

HOSTS = {"body_iterator", "async_capable", "sync_capable"}
"""What a host asks of a response or a middleware, though no class of its own has it."""


def module_of(name: str) -> ModuleType:
    """Import a public module by its name below `streamkit`."""
    return importlib.import_module(f"streamkit.{name}".rstrip("."))


def source_of(module: ModuleType) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(inspect.getsource(module))


def described_constants(module: ModuleType) -> set[str]:
    """Return the names to which the module assigns with a docstring behind."""
    body = source_of(module).body
    return {
        ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
        for node, after in pairwise(body)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and isinstance(after.value.value, str)
    }


def defined(module: ModuleType) -> set[str]:
    """Return the public names that a module itself defines."""
    names: set[str] = set()
    for node in source_of(module).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


def rank(name: str) -> tuple[int, str]:
    """Return the place of a name in the order that ruff keeps: constants, classes, the rest."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@pytest.mark.parametrize("name", PUBLIC)
def test_completion_offers_the_public_names_alone(name: str) -> None:
    """`dir` of a module is what its `__all__` lists, in order and once; what it imports for itself is no offer."""
    module = module_of(name)
    assert list(module.__all__) == sorted(set(module.__all__), key=rank)
    assert dir(module) == sorted(module.__all__)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there_and_has_a_docstring(name: str) -> None:
    """A class or function has one of its own; a constant has one behind it."""
    module = module_of(name)
    assert module.__doc__
    constants = described_constants(module)
    for public in module.__all__:
        thing = getattr(module, public)
        own = vars(thing).get("__doc__") if inspect.isclass(thing) else getattr(thing, "__doc__", None)
        described = own if inspect.isclass(thing) or inspect.isroutine(thing) else public in constants
        assert described, f"{module.__name__}.{public} has no docstring"


@pytest.mark.parametrize("name", PUBLIC)
def test_no_public_name_is_left_out(name: str) -> None:
    """What a public module defines without an underscore is listed."""
    module = module_of(name)
    assert defined(module) <= set(module.__all__)


def test_module_without_an_underscore_is_public() -> None:
    """No other is importable by a name that looks like a promise."""
    found = {path.stem for path in (ROOT / "streamkit").iterdir() if path.suffix == ".py" or path.is_dir()}
    public = {name.partition(".")[0] for name in PUBLIC if name} | {"doctor", "errors"} | SPREAD
    assert {name for name in found if not name.startswith("_")} == public


def own(cls: type) -> set[str]:
    """Return the names that completion offers on a class of ours and not on the host's class beneath it."""
    host = next(base for base in cls.__mro__ if not base.__module__.startswith("streamkit."))
    return {name for name in dir(cls) if not name.startswith("_")} - set(dir(host)) - HOSTS


@pytest.mark.parametrize("name", ADAPTERS)
def test_response_offers_its_options_alone(name: str) -> None:
    """Beside what its host's response has; how an adapter makes the stream is nobody's to call."""
    module = module_of(name)
    for public in module.__all__:
        if public.endswith("Response"):
            assert own(getattr(module, public)) == set(OPTIONS)


@pytest.mark.parametrize("name", ADAPTERS)
def test_middleware_offers_its_options_alone(name: str) -> None:
    """In Django, where they are attributes; elsewhere they are arguments, and there is nothing to call."""
    assert own(module_of(name).StreamingMiddleware) == ({"policy", "limit", "on_close"} if name == "django" else set())


@pytest.mark.parametrize("name", ["wsgi", "asgi"])
def test_what_is_built_offers_no_more(name: str) -> None:
    """An instance shows what the user gave."""
    module = module_of(name)
    public = [one for one in vars(module.EventStreamResponse(["a"])) if not one.startswith("_")]
    assert sorted(public) == ["formats", "headers", "status"]
    assert [one for one in vars(module.StreamingMiddleware(print)) if not one.startswith("_")] == []


@pytest.mark.parametrize("name", ADAPTERS)
def test_every_adapter_has_the_same_names(name: str) -> None:
    """The import path alone chooses the framework."""
    assert set(module_of(name).__all__) - OF_ONE.get(name, set()) == set(module_of("wsgi").__all__)


def test_every_error_is_in_the_tree_and_under_the_base() -> None:
    """The docstring of the errors draws all of them, and whoever catches the base catches each."""
    for name in defined(errors):
        assert issubclass(getattr(errors, name), errors.StreamkitError)
        assert vars(getattr(errors, name)).get("__doc__")
        assert re.search(rf"\b{name}\b", errors.__doc__ or "")


def test_page_of_errors_says_what_else_each_is() -> None:
    """Each row names a class that the error is a kind of, too."""
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", page, re.MULTILINE))
    assert rows.keys() == defined(errors) - {"StreamkitError"}
    for name, other in rows.items():
        assert issubclass(getattr(errors, name), getattr(builtins, other, None) or getattr(errors, other))


@pytest.mark.parametrize("name", [*PUBLIC, "errors"])
def test_every_public_name_is_in_the_docs(name: str) -> None:
    """README.md or a page speaks of each; the reference, which is made of the docstrings, does not count."""
    module = module_of(name)
    pages = [ROOT / "README.md", *(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "reference")]
    told = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    names = defined(errors) if module is errors else set(module.__all__)
    assert sorted(one for one in names if not re.search(rf"\b{one}\b", told)) == []


def test_where_to_look_for_the_rest_is_said_first() -> None:
    """`help(streamkit)` names each public module."""
    for name in [*PUBLIC, "errors"]:
        assert name.partition(".")[0] in (streamkit.__doc__ or "")
