"""The size gate fails for each limit, and names the file, the line and the number.

Every test writes a package of its own into a temporary directory; `make lint` is what looks at streamkit itself.
"""

from pathlib import Path

import check_sizes
import pytest


def package(root: Path, **files: str) -> Path:
    """Write `files`, module path (`__` for a slash) to source, as the package streamkit under `root`."""
    for name, source in files.items():
        path = root / "streamkit" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return root


def function(lines: int, *, docstring: str = "") -> str:
    """Write a function that has `lines` lines without its docstring."""
    return "\n".join(
        ["def grow():", *([f'    """{docstring}"""'] if docstring else []), *["    x = 1"] * (lines - 1), ""]
    )


def nested(depth: int) -> str:
    """Write a function with `depth` blocks inside each other."""
    blocks = [f"{'    ' * level}if x:" for level in range(1, depth + 1)]
    return "\n".join(["def dig(x):", *blocks, "    " * (depth + 1) + "pass", ""])


@pytest.mark.parametrize(
    ("name", "limit"), [("sse", 300), ("flask", 150), ("_engine__buffer", 300), ("llm__relay", 300)]
)
def test_file_over_its_limit_is_named_with_its_lines(tmp_path: Path, name: str, limit: int) -> None:
    """A file may fill its limit; one line more fails."""
    assert list(check_sizes.check(package(tmp_path, **{name: "x = 1\n" * limit}))) == []
    failures = list(check_sizes.check(package(tmp_path, **{name: "x = 1\n" * (limit + 1)})))
    path = name.replace("__", "/")
    assert failures == [f"streamkit/{path}.py:{limit + 1}: the file has {limit + 1} lines, the limit is {limit}"]


def test_core_and_adapters_over_the_limit_fail(tmp_path: Path) -> None:
    """What each file may hold is not what all of them may."""
    core = package(
        tmp_path, flask="x = 1\n" * 101, django="x = 1\n" * 100, **{f"core{n}": "x = 1\n" * 250 for n in range(20)}
    )
    assert list(check_sizes.check(core)) == [
        "streamkit:1: core and adapters have 5201 lines of code together, the limit is 5200"
    ]


def test_docstrings_comments_and_blank_lines_are_free_of_the_limit_of_the_core() -> None:
    """Documenting more never breaks the limit."""
    source = '"""Rules."""\n\n# why\ndef f():\n    """Say.\n\n    More.\n    """\n    return """a\nb"""\n'
    assert check_sizes.code_lines(source) == 3


def test_optional_parts_are_free_of_the_limit_of_the_core(tmp_path: Path) -> None:
    """Channels and their like are not core."""
    parts = package(tmp_path, client="x = 1\n" * 300, **{f"channels__log{n}": "x = 1\n" * 300 for n in range(9)})
    assert list(check_sizes.check(parts)) == []


def test_function_over_40_lines_fails(tmp_path: Path) -> None:
    """The failure stands at the function's own line."""
    assert list(check_sizes.check(package(tmp_path, sse=function(40)))) == []
    failures = list(check_sizes.check(package(tmp_path, sse="import re\n\n\n" + function(41))))
    assert failures == ["streamkit/sse.py:4: grow has 41 lines, the limit is 40"]


def test_docstring_does_not_count_as_lines_of_a_function(tmp_path: Path) -> None:
    """Nobody should have to choose between a limit and documentation."""
    assert list(check_sizes.check(package(tmp_path, sse=function(40, docstring="Grow.\n\n    A lot.\n    ")))) == []


def test_method_over_40_lines_fails(tmp_path: Path) -> None:
    """Methods, async ones too, are functions."""
    method = "".join(f"    {line}\n" for line in function(41).splitlines())
    failures = list(check_sizes.check(package(tmp_path, sse=f"class Plant:\n{method}".replace("def", "async def"))))
    assert failures == ["streamkit/sse.py:2: grow has 41 lines, the limit is 40"]


def test_nesting_deeper_than_four_fails(tmp_path: Path) -> None:
    """Four blocks may stand inside each other, a fifth may not."""
    assert list(check_sizes.check(package(tmp_path, sse=nested(4)))) == []
    failures = list(check_sizes.check(package(tmp_path, sse=nested(5))))
    assert failures == ["streamkit/sse.py:1: dig nests 5 deep, the limit is 4"]


def test_elif_does_not_nest(tmp_path: Path) -> None:
    """A chain of elif reads as one level, however the syntax tree holds it."""
    chain = "def pick(x):\n    if x == 0:\n        pass\n" + "".join(
        f"    elif x == {n}:\n        pass\n" for n in range(1, 9)
    )
    assert list(check_sizes.check(package(tmp_path, sse=chain))) == []


def test_function_inside_a_function_nests_anew(tmp_path: Path) -> None:
    """A closure is read on its own."""
    inner = "".join(f"        {line}\n" for line in nested(3).splitlines())
    assert list(check_sizes.check(package(tmp_path, sse=f"def dig(x):\n    if x:\n{inner}"))) == []


def test_exit_status_tells_whether_something_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Make and CI look at nothing else."""
    monkeypatch.setattr("sys.argv", ["check_sizes.py", str(package(tmp_path, sse=nested(5)))])
    assert check_sizes.main() == 1
    assert "dig nests 5 deep" in capsys.readouterr().out
    package(tmp_path, sse=nested(4))
    assert check_sizes.main() == 0
