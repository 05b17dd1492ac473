"""An export of some thousand rows as NDJSON, which a client reads while it is still being written."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

from streamkit.fastapi import NDJSONResponse

PAGE = Path(__file__).parent / "static" / "export.html"

router = APIRouter()


@router.get("/export", include_in_schema=False)
async def page() -> FileResponse:
    """Serve the page that loads the rows."""
    return FileResponse(PAGE)


@router.get("/export/rows", response_class=NDJSONResponse)
async def rows() -> NDJSONResponse:
    """Stream the rows; a last line says that they are complete, since a connection that ends does not."""
    return NDJSONResponse(
        symbols(),
        headers={"Content-Disposition": 'attachment; filename="symbols.ndjson"'},
        end={"complete": True},
    )


def symbols() -> Iterator[dict[str, str]]:
    """Yield the symbols of Unicode; in your project, the rows of a query that the database streams."""
    for code in range(0x2190, 0x2C00):
        if name := unicodedata.name(chr(code), ""):
            yield {"code": f"U+{code:04X}", "sign": chr(code), "name": name}
