"""docs/how-to/other-protocols.md: its recipes, served as they stand there, and the clients that they are for."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig import node
from tests.rig.browser import headless_chromium
from tests.rig.process import Process
from tests.rig.requirements import needs
from tests.rig.servers import UNMEASURED, free_port

TEXT = (Path(__file__).parents[2] / "docs" / "how-to" / "other-protocols.md").read_text(encoding="utf-8")
RECIPES = "\n\n".join(re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE))
HTML = "".join(re.findall(r"^```html\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE))

# The page that has the HTML of the recipes, and the scripts that it asks for.
REST = f"""
from fastapi.responses import FileResponse, HTMLResponse

@app.get("/page", response_class=HTMLResponse)
async def page():
    return {f'<!doctype html><body>{HTML}<script type="module" src="/page.js"></script>'!r}

@app.get("/page.js")
async def script():
    return FileResponse("page.js")
"""
SCRIPT = "import '@hotwired/turbo'\nimport 'htmx-ext-sse'\n"
AGENT = """
import { HttpAgent } from '@ag-ui/client'
const told = []
const heard = {
  onTextMessageContentEvent: ({ event }) => void told.push(event.delta),
  onRunErrorEvent: ({ event }) => void told.push(event.message),
}
const [, , url, content] = process.argv
const agent = new HttpAgent({ url, initialMessages: [{ id: '1', role: 'user', content }] })
await agent.runAgent({}, heard)
process.stdout.write(JSON.stringify(told))
"""
FAILED = "The answer could not be completed."

pytestmark = [
    pytest.mark.servers,
    pytest.mark.xdist_group("clients"),
    pytest.mark.timeout(300),
    needs("uvicorn", "fastapi", "node"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Serve the recipes and the page."""
    folder, port = tmp_path_factory.mktemp("recipes"), free_port()
    (folder / "entry.mjs").write_text(SCRIPT)
    script = node.bundle(folder / "entry.mjs", folder / "page.js").read_text(encoding="utf-8")
    command = f"{sys.executable} -m uvicorn --host 127.0.0.1 --port {port} --no-access-log served:app"
    environment = {"PYTHONPATH": "{home}", **UNMEASURED}
    files = {"served.py": RECIPES + REST, "page.js": script}
    with Process(command.split(), files, port, environment=environment) as process:
        yield process


@needs("anthropic")
def test_anthropic_sdk_reads_the_message_and_raises_its_failure(server: Process) -> None:
    """The tokens are the text, the end is a reason, and a failure is an exception with what may be known of it."""
    from anthropic import Anthropic, APIStatusError

    with Anthropic(base_url=server.url, api_key="none", max_retries=0, timeout=20) as client:
        for prompt in ("a < b", "fail"):
            with client.messages.stream(
                model="none", max_tokens=99, messages=[{"role": "user", "content": prompt}]
            ) as stream:
                if prompt == "fail":
                    with pytest.raises(APIStatusError, match=FAILED):
                        stream.until_done()
                else:
                    assert "".join(stream.text_stream) == f"You said: {prompt} "
                    assert stream.get_final_message().stop_reason == "end_turn"


def test_agui_client_runs_the_agent_and_is_told_of_its_failure(server: Process, tmp_path: Path) -> None:
    """Each token is a delta, and a failure ends the run with RUN_ERROR."""
    program = tmp_path / "agent.mjs"
    program.write_text(AGENT)
    told = json.loads(node.run_node(program, f"{server.url}/agent", "why?", within=60))
    assert told == ["You ", "said: ", "why? "]
    told = json.loads(node.run_node(program, f"{server.url}/agent", "fail", within=60))
    assert told[-1] == FAILED


@pytest.mark.browser
@needs("playwright", "chromium")
def test_htmx_and_turbo_show_the_text_once(server: Process) -> None:
    """What is text stays text, and neither comes back when all is said."""
    with headless_chromium() as browser:
        page = browser.new_page()
        page.add_init_script("addEventListener('htmx:sseClose', (event) => window.ended = event.detail.type)")
        page.goto(f"{server.url}/page")
        for place in ("htmx", "turbo"):
            page.wait_for_function(
                "(place) => document.getElementById(place).textContent === 'You said: a < b '", arg=place
            )
        page.wait_for_function("window.ended === 'message' && document.getElementById('source') === null")
