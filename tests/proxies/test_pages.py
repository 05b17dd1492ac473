"""docs/deploy says what the tests see, quotes the files that they run, and links to what is there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.contract.matrix import WRITE
from tests.proxies.conftest import Through
from tests.proxies.pages import BEGIN, END, Quotation, links, page, quotations, table, write_table
from tests.proxies.running import APP_PORT, DEPLOY, PROXY_PORT
from tests.proxies.setups import SETUPS
from tests.rig.requirements import needs

PAGES = sorted(DEPLOY.glob("*.md"))
TABLES = sorted({page(setup) for setup in SETUPS.values()})
QUOTATIONS = [quotation for path in PAGES for quotation in quotations(path)]
FILES = sorted({setup.file for setup in SETUPS.values()})


def _name(value: Path | Quotation) -> str:
    return value.name if isinstance(value, Path) else f"{value.page.name}: {value.text.strip().splitlines()[0]}"


@pytest.mark.parametrize("path", TABLES, ids=_name)
def test_table_of_a_page_is_what_is_declared(path: Path) -> None:
    """What the other tests of this folder have seen is what a reader is told."""
    if os.environ.get(WRITE) == "1":
        write_table(path)
    shown = path.read_text().partition(BEGIN)[2].partition(END)[0]
    assert shown == table(path), f"run this test with {WRITE}=1"


@pytest.mark.parametrize("quotation", QUOTATIONS, ids=_name)
def test_quoted_lines_stand_in_the_file_they_are_taken_from(quotation: Quotation) -> None:
    """Each block of configuration in a page is a part of a file that is run or checked."""
    assert quotation.file is not None, "no file is named before the block"
    assert quotation.stands_in_file(), quotation.file


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_links_of_a_page_lead_somewhere(path: Path) -> None:
    """A file that was renamed is renamed in the pages too."""
    assert [link for link in links(path) if not link.exists()] == []


@pytest.mark.parametrize("name", FILES)
def test_configuration_is_shown_by_a_page_and_names_the_ports(name: str) -> None:
    """A file that no page shows helps nobody; one that does not name the ports would reach another app."""
    assert any((DEPLOY / name).resolve() in links(path) for path in PAGES)
    text = (DEPLOY / name).read_text()
    assert APP_PORT in text
    assert PROXY_PORT in text or name.startswith("varnish/")
    assert text.startswith("# ")


def test_no_configuration_is_untested() -> None:
    """Each file beside the pages of proxies is run by a setup."""
    folders = {Path(name).parent.name for name in FILES}
    found = {str(path.relative_to(DEPLOY)) for folder in folders for path in (DEPLOY / folder).iterdir()}
    assert found == set(FILES)


def test_index_names_every_page() -> None:
    """The index leads to each page beside it."""
    index = DEPLOY / "README.md"
    assert {path.resolve() for path in PAGES} - set(links(index)) == {index}


@pytest.mark.servers
@needs("curl", "nginx")
def test_command_to_check_shows_each_line_as_it_comes(through: Through) -> None:
    """The first event is on the terminal before the second has left the app, also where it came compressed."""
    command = re.search(r"^```sh\n(curl .*?)```", (DEPLOY / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert command is not None
    way = through("nginx-gzip")
    way.door.allow(1)
    shell = command[1].replace("https://example.org/sse", f"'http://127.0.0.1:{way.port}/sse?frames=2'")
    with subprocess.Popen(["sh", "-c", shell], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert '"number":0' in process.stdout.readline().replace(" ", "")
        assert [record["pulled"] for record in way.door.streams()] == [1]
        way.door.allow(2)
        assert '"number":1' in process.stdout.read().replace(" ", "")
