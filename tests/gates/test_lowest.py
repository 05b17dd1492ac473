"""The oldest set that streamkit is tested with is read from the lower bounds in pyproject.toml, nowhere else."""

from pathlib import Path

import lowest
import pytest

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def project(directory: Path, requirement: str) -> Path:
    """Write a pyproject.toml whose only extra asks for `requirement`."""
    path = directory / "pyproject.toml"
    path.write_text(f"[project.optional-dependencies]\nextra = ['{requirement}']\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("requirement", "pinned"),
    [
        ("flask>=3.0.0", "flask==3.0.0"),
        ("httpx[http2]>=0.27", "httpx==0.27"),
        ("django>=5.2,<7", "django==5.2"),
    ],
)
def test_lower_bound_becomes_a_pin(tmp_path: Path, requirement: str, pinned: str) -> None:
    """Extras of the package and upper bounds have no part in it."""
    assert list(lowest.lowest(project(tmp_path, requirement))) == [pinned]


@pytest.mark.parametrize("requirement", ["flask", "flask<4", "flask==3.0.0"])
def test_requirement_without_lower_bound_is_refused(tmp_path: Path, requirement: str) -> None:
    """A promise that nobody can test is none."""
    with pytest.raises(ValueError, match="has no lower bound"):
        list(lowest.lowest(project(tmp_path, requirement)))


def test_every_extra_of_this_project_has_a_lower_bound() -> None:
    """The compatibility run pins each of them."""
    names = {line.partition("==")[0] for line in lowest.lowest(PYPROJECT)}
    assert {"flask", "django", "starlette", "fastapi", "redis"} <= names
