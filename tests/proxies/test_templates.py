"""The templates of docs/deploy/aws are what AWS would accept, as far as its schemas tell, and ask for streams."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.proxies.running import DEPLOY
from tests.rig.requirements import executable, needs

# It starts no server, but it is installed beside those that do.
pytestmark = [pytest.mark.servers, needs("cfn-lint")]

TEMPLATES = sorted((DEPLOY / "aws").glob("*.yaml"))
MODES = ("ResponseTransferMode: STREAM", "TimeoutInMillis: 900000")
FAULTS = dict(zip(MODES, ("'STREAMX' is not one of", "'900000X' is not of type"), strict=True))


def _complaints(template: Path) -> str:
    linter = executable("cfn-lint")
    assert linter is not None
    run = subprocess.run([linter, str(template)], capture_output=True, text=True, timeout=50, check=False)
    assert (run.returncode == 0) == (run.stdout == ""), run.stderr
    return run.stdout


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_template_has_no_fault(template: Path) -> None:
    """Neither an error nor a warning."""
    assert _complaints(template) == ""


@pytest.mark.parametrize("mode", MODES)
def test_linter_knows_what_makes_the_template_stream(mode: str, tmp_path: Path) -> None:
    """A slip in the very lines that matter is a fault, so their absence of faults means something."""
    text = (DEPLOY / "aws" / "http-integration.yaml").read_text()
    assert mode in text
    slipped = tmp_path / "template.yaml"
    slipped.write_text(text.replace(mode, mode + "X"))
    assert FAULTS[mode] in _complaints(slipped)


def test_both_ways_of_lambda_are_told_to_stream() -> None:
    """The adapter and whatever calls the function must agree."""
    text = (DEPLOY / "aws" / "lambda-web-adapter.yaml").read_text()
    for line in (*MODES, "InvokeMode: RESPONSE_STREAM", "AWS_LWA_INVOKE_MODE: response_stream"):
        assert line in text
    assert "/response-streaming-invocations" in text
