"""Ask PyPI's advisories about everything that streamkit's extras install, in the versions that the tests ran with.

pip-audit asks. A finding fails, and so does a package that the service does not know. Only where the service itself is
out of reach the step is skipped, in one line that says so: a change must not fail for a network that is down, and
nothing may pass for clean that nobody looked at. How that is told: a package with advisories since 2020 is asked about
too. A service that has nothing against it (a mirror without advisories, an empty answer) is none.

Usage: .venv/bin/python .ci/audit.py .venv-audit/bin/pip-audit
"""

import json
import re
import subprocess
import sys
import tempfile
from importlib.metadata import metadata, requires, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = "streamkit-http"
CANARY = ("pyyaml", "5.3")  # CVE-2020-14343
UNREACHABLE = re.compile(
    r"Could not connect|\b(Connection|Proxy)Error\b|\b(Connect|Read)Timeout\b|Max retries|HTTPError: 5\d\d"
)


def installed(name: str = PROJECT) -> dict[str, str]:
    """Return the versions of all that `name` requires, with all of its extras, and of what that requires in turn."""
    found: dict[str, str] = {}
    asked = [(name, frozenset(metadata(name).get_all("Provides-Extra") or ()))]
    seen = set(asked)
    while asked:
        package, extras = asked.pop()
        for line in requires(package) or ():
            requirement = Requirement(line)
            marker, wanted = requirement.marker, canonicalize_name(requirement.name)
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
                found[wanted] = version(wanted)
                more = wanted, frozenset(requirement.extras)
                asked += [more] if more not in seen else []
                seen.add(more)
    return found


def judge(versions: dict[str, str], report: dict[str, Any] | None, errors: str) -> tuple[int, str]:
    """Return the exit code and what to say.

    Args:
        versions: What was asked about, besides the canary.
        report: What pip-audit has found; None where it failed.
        errors: What it has said besides.
    """
    if report is None:
        if UNREACHABLE.search(errors):
            return 0, "audit: the advisory service is not reachable: skipped"
        return 1, f"audit: pip-audit failed:\n{errors[-2000:]}"
    answers: dict[str, Any] = {canonicalize_name(each["name"]): each for each in report["dependencies"]}
    bad = [
        f"{name} {versions[name]}: {', '.join([flaw['id'], *flaw['aliases']])}; "
        f"mended in {', '.join(flaw['fix_versions']) or 'no version'}"
        for name in sorted(versions)
        for flaw in answers.get(name, {}).get("vulns", ())
    ]
    if bad:
        return 1, "\n".join(f"audit: {line}" for line in bad)
    if not answers.get(CANARY[0], {}).get("vulns"):
        return 0, f"audit: the advisory service has nothing against {' '.join(CANARY)}, so it is not reachable: skipped"
    unknown = [name for name in sorted(versions) if "vulns" not in answers.get(name, {})]
    if unknown:
        return 1, f"audit: the advisory service does not know {', '.join(unknown)}"
    return 0, f"audit: nothing is known against the {len(versions)} packages that the extras install"


def ask(pip_audit: str, versions: dict[str, str]) -> tuple[dict[str, Any] | None, str]:
    """Return what pip-audit has found, None where it failed, and what it has said."""
    with tempfile.TemporaryDirectory() as directory:
        pins = Path(directory) / "pins.txt"
        pins.write_text("".join(f"{name}=={number}\n" for name, number in {**versions, CANARY[0]: CANARY[1]}.items()))
        options = ["-r", str(pins), "--no-deps", "--disable-pip", "-f", "json", "--progress-spinner", "off"]
        done = subprocess.run([pip_audit, *options], check=False, capture_output=True, text=True)
    try:
        return json.loads(done.stdout), done.stderr
    except ValueError:
        return None, done.stderr


def main() -> int:
    """Audit, and say how it went."""
    versions = installed()
    code, text = judge(versions, *ask(sys.argv[1], versions))
    print(text)
    return code


if __name__ == "__main__":
    sys.exit(main())
