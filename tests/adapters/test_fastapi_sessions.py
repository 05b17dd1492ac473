"""Open streams hold no database connection, when sessions are used as docs/how-to/database-sessions-fastapi.md says.

The code under test is the code of that page.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import pytest
from fastapi import Depends
from sqlalchemy.orm import Session

from streamkit import Pipe
from streamkit.fastapi import EventStreamResponse
from tests.adapters.watched import host

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "database-sessions-fastapi.md"
STREAMS = 20


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Run the page's code beside an empty database, as a module, and give it two jobs."""
    monkeypatch.chdir(tmp_path)
    module: Any = ModuleType("sessions_how_to")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    exec(compile("\n\n".join(blocks), str(PAGE), "exec"), vars(module))
    module.Base.metadata.create_all(module.engine)
    with module.Sessions.begin() as session:
        session.add_all([module.Job(id=1, percent=10), module.Job(id=2, percent=100)])
    yield module
    module.engine.dispose()


def finish(shop: Any, number: int) -> None:
    """Set a job to 100 percent."""
    with shop.Sessions.begin() as session:
        session.get(shop.Job, number).percent = 100


def test_open_streams_leave_the_connection_pool_free(shop: Any) -> None:
    """Twenty streams are open on a pool of five, no connection is in use for long, and every request is answered."""
    with host(shop.app) as server, ExitStack() as open_streams:
        streams = [open_streams.enter_context(server.open("/jobs/1/progress")) for _ in range(STREAMS)]
        for stream in streams:
            stream.read_until(b'data: {"percent":10}\n\n')
        assert server.open("/jobs").read_to_end() == b'{"id":1,"percent":10}\n{"id":2,"percent":100}\n'
        assert server.open("/jobs/3/progress").head().status == 404
        finish(shop, 1)
        for stream in streams:
            assert stream.read_to_end().endswith(b'data: {"percent":100}\n\nevent: done\ndata: \n\n')
        assert server.errors == []
    assert shop.engine.pool.checkedout() == 0


def test_session_of_the_usual_dependency_is_held_by_an_open_stream(shop: Any) -> None:
    """The problem that the page solves is there: each stream of the usual kind takes one connection away."""
    pipe = Pipe()

    def usual(session: Annotated[Session, Depends(shop.get_session)]) -> EventStreamResponse:
        session.get(shop.Job, 1)
        return EventStreamResponse(pipe)

    shop.app.get("/usual")(usual)
    with host(shop.app) as server, server.open("/usual") as stream:
        assert stream.head().status == 200
        assert shop.engine.pool.checkedout() == 1
        pipe.close()
        stream.read_to_end()
        assert stream.done.wait(3)
    assert shop.engine.pool.checkedout() == 0
