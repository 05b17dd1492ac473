"""An export of some thousand rows as NDJSON, which a client reads while it is still being written."""

import unicodedata
from collections.abc import Iterator

from django.http import HttpRequest
from django.urls import path
from django.views.generic import TemplateView

from streamkit.django import NDJSONResponse


def rows(request: HttpRequest) -> NDJSONResponse:
    """Stream the rows; a last line says that they are complete, since a connection that ends does not."""
    return NDJSONResponse(
        symbols(),
        request=request,
        headers={"Content-Disposition": 'attachment; filename="symbols.ndjson"'},
        end={"complete": True},
    )


def symbols() -> Iterator[dict[str, str]]:
    """Yield the symbols of Unicode; in your project, the rows of a query that the database streams."""
    for code in range(0x2190, 0x2C00):
        if name := unicodedata.name(chr(code), ""):
            yield {"code": f"U+{code:04X}", "sign": chr(code), "name": name}


urlpatterns = [path("export", TemplateView.as_view(template_name="export.html")), path("export/rows", rows)]
