"""The folders of the examples: small, copyable on their own, and as their READMEs say."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.examples.conftest import EXAMPLES
from tests.examples.running import FOLDERS, Example, copied
from tests.rig.http import HTTPStream
from tests.rig.requirements import needs
from tests.rig.servers import ROOT

FILES = [path for folder in FOLDERS.values() for path in sorted(folder.glob("*.py"))]
LIMITS = {"app.py": 60, "README.md": 24, "stream.js": 40}
# By whoever ran or built an example where it stands; ignored by git.
KEPT = re.compile(r"\.(db|db-\w+|pyc)$|/node_modules/|/package-lock\.json$|/static/assistant\.js$")
NAMES = sorted(
    {
        path.relative_to(folder)
        for folder in FOLDERS.values()
        for path in folder.rglob("*.*")
        if not KEPT.search(path.as_posix())
    }
)
COPIED = ("assistant", "static", "answers.py", "questions.md")
SHARED = [name for name in NAMES if name.parts[0] in COPIED]


def blocks(name: str) -> list[str]:
    """Return the commands in the README of an example, one after the other."""
    text = (FOLDERS[name] / "README.md").read_text(encoding="utf-8")
    return [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_file_is_small_enough_to_copy(path: Path) -> None:
    """The app has at most 60 lines, a feature at most 120."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LIMITS.get(path.name, 120)


@pytest.mark.parametrize("name", FOLDERS)
def test_reader_and_readme_are_short(name: str) -> None:
    """stream.js is at most 40 lines to copy, a README 24 to read."""
    for path in (FOLDERS[name] / "static" / "stream.js", FOLDERS[name] / "README.md"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LIMITS[path.name]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_example_needs_no_environment(path: Path) -> None:
    """Nothing is switched by a variable of the environment."""
    assert "environ" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("shared", SHARED, ids=str)
def test_copies_are_the_same_in_every_folder(shared: Path) -> None:
    """Each folder stands alone, so pages and answers are copies: a change in one is a change in all."""
    copies = {(folder / shared).read_bytes() for folder in FOLDERS.values()}
    assert len(copies) == 1


def test_answers_are_the_documentation_of_the_project() -> None:
    """What the chat answers from is a page of our docs."""
    assert (FOLDERS["flask"] / "questions.md").read_bytes() == (ROOT / "docs" / "questions.md").read_bytes()


@pytest.mark.parametrize("name", FOLDERS)
def test_readme_installs_what_the_project_offers(name: str) -> None:
    """The install line names the distribution and an extra that exists, and all that the files import."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    install = blocks(name)[0]
    assert install.startswith(f'pip install "{project["name"]}[{name}]" ')
    assert name in project["optional-dependencies"]
    imported = re.findall(
        r"^(?:import|from) (httpx|uvicorn)\b", "".join(p.read_text() for p in FILES if p.parent.name == name), re.M
    )
    assert set(install.split()[3:]) == set(imported)


@pytest.mark.parametrize("name", EXAMPLES)
def test_tests_of_the_example_pass(name: str, tmp_path: Path) -> None:
    """Those that a reader copies with it, in a copy of the folder."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=copied(name, tmp_path), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


@pytest.mark.servers
@needs("curl")
@pytest.mark.parametrize("name", EXAMPLES)
def test_commands_of_the_readme_work(name: str, tmp_path: Path) -> None:
    """`python app.py` prints an address and a curl line; that line and those of the README are answered."""
    with Example(name, tmp_path / "log") as example:
        _, run, *curls = blocks(name)
        assert run.partition("  #")[0] == "python app.py"
        printed = re.search(r"^or +(curl .*)$", example.log(), re.MULTILINE)
        assert f"Open  {example.url}/\n" in example.log()
        assert printed is not None
        for command in [printed[1], *(line.replace("127.0.0.1:8000", f"127.0.0.1:{example.port}") for line in curls)]:
            done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=30, check=True)
            assert b"event: done" in done.stdout or b'{"complete":true}' in done.stdout or b"[DONE]" in done.stdout


@pytest.mark.servers
@pytest.mark.parametrize(
    ("name", "server"),
    [
        pytest.param("flask", "-m waitress --listen=127.0.0.1:{port} app:app", marks=needs("flask", "waitress")),
        pytest.param("django", "-m uvicorn --port {port} app:application", marks=needs("django", "uvicorn")),
        pytest.param("fastapi", "-m granian --interface asgi --port {port} app:app", marks=needs("fastapi", "granian")),
    ],
)
def test_other_server_of_the_readme_works(name: str, server: str, tmp_path: Path) -> None:
    """The server that a README offers besides its own streams the same answer, item by item."""
    with (
        Example(name, tmp_path / "log", server=server) as example,
        HTTPStream(example.port, "/answer?q=slow") as stream,
    ):
        stream.read_until(b"id: 0\n")
        assert b"done" not in stream.body
        assert b"event: done" in stream.read_to_end()
