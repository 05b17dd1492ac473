"""An export of some thousand rows as NDJSON, which a client reads while it is still being written."""

import unicodedata
from collections.abc import Iterator

from flask import Blueprint, Response, current_app

from streamkit.flask import NDJSONResponse

pages = Blueprint("export", __name__)


@pages.get("/export")
def page() -> Response:
    """Serve the page that loads the rows."""
    return current_app.send_static_file("export.html")


@pages.get("/export/rows")
def rows() -> Response:
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
