"""An export of a million rows as NDJSON, in flat memory.

Run: uvicorn export:app, then curl -O …/rows.ndjson
"""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from streamkit.fastapi import NDJSONResponse

app = FastAPI()


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Give rows as a server-side cursor does, never all at once."""
    for number in range(count):
        yield {"id": number, "name": f"row {number}"}


@app.get("/rows.ndjson")
async def export(count: int = 1_000_000) -> NDJSONResponse:
    """Stream the rows; the last line says that the export is whole."""
    headers = {"Content-Disposition": 'attachment; filename="rows.ndjson"'}
    return NDJSONResponse(rows(count), headers=headers, end={"complete": True})
