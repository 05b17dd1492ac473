"""Print the lower bounds of the extras in pyproject.toml as constraints that pin each package to its oldest version.

`python .ci/lowest.py > lowest.txt && pip install -c lowest.txt ...` installs the oldest set that streamkit promises to
work with; the bounds themselves live in pyproject.toml alone.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?>=(?P<version>[0-9.]+)")


def lowest(project: Path) -> Iterator[str]:
    """Yield `name==version` for each requirement of an extra in the file `project`.

    Raises:
        ValueError: a requirement has no lower bound, so nobody knows what it promises.
    """
    extras: dict[str, list[str]] = tomllib.loads(project.read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    for requirement in sorted({line for lines in extras.values() for line in lines}):
        found = REQUIREMENT.match(requirement)
        if found is None:
            raise ValueError(f"{requirement!r} in {project} has no lower bound")
        yield f"{found['name']}=={found['version']}"


def main() -> int:
    """Print one constraint per line."""
    print("\n".join(lowest(Path(sys.argv[1] if len(sys.argv) > 1 else "pyproject.toml"))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
