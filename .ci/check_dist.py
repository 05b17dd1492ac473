"""Fail when a distribution lacks a file, or holds one that is not its business.

The source distribution holds every file that git tracks, so that whoever packages streamkit can run its tests. The
wheel holds the package, py.typed with it, and its metadata; no tests, no examples.
Usage: python .ci/check_dist.py SDIST WHEEL
"""

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Set
from pathlib import Path


def tracked() -> set[str]:
    """Return the files of this tree that git tracks and that are there."""
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    return {name for name in listed.split("\0") if name and Path(name).exists()}


def sdist_faults(held: Set[str], tracked: Set[str]) -> Iterator[str]:
    """Yield one line for each file of the tree that the source distribution lacks, or that it holds besides."""
    for name in sorted(tracked - held):
        yield f"sdist: {name} is missing"
    for name in sorted(held - tracked - {"PKG-INFO"}):
        yield f"sdist: {name} is no file of the project"


def wheel_faults(held: Set[str], tracked: Set[str]) -> Iterator[str]:
    """Yield one line for each file of the package that the wheel lacks, and for what it holds besides."""
    package = {name for name in tracked if name.startswith("streamkit/")}
    for name in sorted((package | {"streamkit/py.typed"}) - held):
        yield f"wheel: {name} is missing"
    for name in sorted(held - package):
        if ".dist-info/" not in name:
            yield f"wheel: {name} is no part of the package"


def main(sdist: str, wheel: str) -> int:
    """Print what is wrong; return 1 if anything is."""
    with tarfile.open(sdist) as archive:
        source = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        built = set(archive.namelist())
    files = tracked()
    faults = [*sdist_faults(source, files), *wheel_faults(built, files)]
    print("\n".join(faults) or f"distributions: {len(source)} files in the source, {len(built)} in the wheel")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
