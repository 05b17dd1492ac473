"""Programs in JavaScript: the packages of tests/clients/package.json, a program run by Node, a page's script bundled.

Node and npm come as a wheel, so nothing of the machine is used. Packages go into an ignored folder, once for each
content of package.json, however many workers ask for them at the same time.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.rig.requirements import executable

MANIFEST = Path(__file__).parents[1] / "clients" / "package.json"
FOLDER = Path(__file__).parents[2] / ".cache" / "node"

INSTALLING = 240.0
"""Seconds within which npm must have installed everything."""


def node() -> str:
    """Return the path of Node."""
    found = executable("node")
    assert found is not None, "mark the test with needs('node')"
    return found


@functools.cache
def packages() -> Path:
    """Install the packages where that is not done yet, and return the folder that holds `node_modules`."""
    wanted = hashlib.sha256(MANIFEST.read_bytes()).hexdigest()
    FOLDER.mkdir(parents=True, exist_ok=True)
    stamp = FOLDER / "installed"
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            shutil.copy(MANIFEST, FOLDER / "package.json")
            npm = executable("npm")
            assert npm is not None, "mark the test with needs('node')"
            # No install script is run: a package that is in the registry is all there is.
            command = [npm, "install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund"]
            _done(command, INSTALLING, FOLDER)
            stamp.write_text(wanted)
    return FOLDER


def version(package: str) -> str:
    """Return the version of a package that is installed."""
    manifest = packages() / "node_modules" / package / "package.json"
    return str(json.loads(manifest.read_text())["version"])


def run_node(program: Path, *args: str, within: float = 30.0) -> str:
    """Run a program, which may import the packages, and return what it prints; fail with its stderr otherwise.

    Args:
        program: A file that ends in `.mjs`, anywhere: it is run from a copy beside the packages.
        args: What it finds in `process.argv`.
        within: Seconds.
    """
    # Node looks for packages beside the file that imports them, and knows no other place for modules.
    copy = packages() / f"{hashlib.sha256(program.read_bytes()).hexdigest()[:16]}-{os.getpid()}.mjs"
    shutil.copy(program, copy)
    try:
        return _done([node(), str(copy), *args], within)
    finally:
        copy.unlink()


def bundle(entry: Path, to: Path) -> Path:
    """Make one script for a browser of `entry`, a `.js`, `.jsx` or `.mjs`, and the packages that it imports."""
    modules = packages() / "node_modules"
    command = [
        *(node(), str(modules / "esbuild" / "bin" / "esbuild"), str(entry)),
        *("--bundle", "--format=esm", "--jsx=automatic", '--define:process.env.NODE_ENV="production"'),
        *("--log-level=error", f"--outfile={to}"),
    ]
    _done(command, 60)
    return to


def _done(command: list[str], within: float, cwd: Path | None = None) -> str:
    """Run a command with the wheel's Node first on its path, and return what it prints; fail with its stderr."""
    path = os.pathsep.join([str(Path(node()).parent), os.environ.get("PATH", os.defpath)])
    # NODE_PATH is where esbuild looks for packages.
    environment = {**os.environ, "PATH": path, "NODE_PATH": str(FOLDER / "node_modules")}
    done = subprocess.run(command, check=False, cwd=cwd, env=environment, capture_output=True, timeout=within)
    assert done.returncode == 0, f"{command[:3]} ended with {done.returncode}: {done.stderr.decode()}"
    return done.stdout.decode()
