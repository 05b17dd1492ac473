"""The templates of docs/deploy/aws are what AWS would accept, as far as its schemas tell, and ask for streams."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import commands
from tests.proxies.running import DEPLOY
from tests.rig.http import HTTPStream
from tests.rig.process import Process
from tests.rig.requirements import executable, needs
from tests.rig.servers import free_port

# cfn-lint starts no server, but it is installed beside those that do.
pytestmark = pytest.mark.servers

TEMPLATES = sorted((DEPLOY / "aws").glob("*.yaml"))
MODES = ("ResponseTransferMode: STREAM", "TimeoutInMillis: 900000")


def _complaints(*templates: Path) -> str:
    linter = executable("cfn-lint")
    assert linter is not None
    command = [linter, *map(str, templates)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (run.returncode == 0) == (run.stdout == ""), run.stderr
    return run.stdout


@needs("cfn-lint")
def test_templates_have_no_fault() -> None:
    """Neither an error nor a warning."""
    assert len(TEMPLATES) == 2
    assert _complaints(*TEMPLATES) == ""


@needs("cfn-lint")
def test_linter_knows_what_makes_a_template_stream(tmp_path: Path) -> None:
    """A slip in the very lines that matter is a fault, so the absence of faults means something."""
    text = (DEPLOY / "aws" / "http-integration.yaml").read_text()
    for mode in MODES:
        assert mode in text
        text = text.replace(mode, mode + "X")
    slipped = tmp_path / "template.yaml"
    slipped.write_text(text)
    complaints = _complaints(slipped)
    assert "'STREAMX' is not one of" in complaints
    assert "'900000X' is not of type" in complaints


def test_both_ways_of_lambda_are_told_to_stream() -> None:
    """The adapter and whatever calls the function must agree."""
    text = (DEPLOY / "aws" / "lambda-web-adapter.yaml").read_text()
    for line in (*MODES, "InvokeMode: RESPONSE_STREAM", "AWS_LWA_INVOKE_MODE: response_stream"):
        assert line in text
    assert "/response-streaming-invocations" in text


def test_commands_of_the_page_give_what_the_templates_ask_for() -> None:
    """One command of aws.md for each, with the parameters that have no default and the right to make its role."""
    lines = [line for line in commands(DEPLOY / "aws.md") if line.startswith("aws cloudformation deploy ")]
    deployed = {}
    for options in map(shlex.split, lines):
        text = (DEPLOY / "aws" / options[options.index("--template-file") + 1]).read_text()
        given = {word.partition("=")[0] for word in options[options.index("--parameter-overrides") + 1 :]}
        parameters = re.findall(r"^  (\w+):\n((?: {4}.*\n)+)", text.partition("\nResources:\n")[0], re.MULTILINE)
        assert given == {name for name, says in parameters if "Default:" not in says}
        assert ("CAPABILITY_IAM" in options) == ("AWS::IAM::Role" in text)
        deployed[text] = options
    assert sorted(deployed) == sorted(template.read_text() for template in TEMPLATES)


APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
"""


@needs("uvicorn")
def test_command_of_the_zip_file_serves_the_app() -> None:
    """What the adapter starts is a server on the port that the adapter asks."""
    port = free_port()
    environment = {
        "LAMBDA_TASK_ROOT": "{home}",
        "AWS_LWA_PORT": str(port),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    files = {"app.py": APP, "run.sh": (DEPLOY / "aws" / "run.sh").read_text()}
    with Process(["sh", "run.sh"], files, port, environment=environment), HTTPStream(port, "/") as stream:
        assert stream.head().status == 204
