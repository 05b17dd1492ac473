"""A format of one's own: CSV, row by row.

Run: flask --app custom_format run
"""

import csv
import io
from collections.abc import Iterable, Iterator

from flask import Flask

from streamkit import EncodeError, Format
from streamkit.flask import TextStreamResponse

app = Flask(__name__)


class CSV(Format):
    """One row for each item, which is an iterable of values."""

    media_type = "text/csv; charset=utf-8"

    def encode(self, item: object) -> bytes:
        """Return a row."""
        if not isinstance(item, Iterable) or isinstance(item, str):
            raise EncodeError(type(item).__name__, "a row is an iterable of values")
        line = io.StringIO()
        csv.writer(line).writerow(item)
        return line.getvalue().encode()


class CSVResponse(TextStreamResponse):
    """A stream of rows, in every view that wants one."""

    format = CSV()


def rows() -> Iterator[list[object]]:
    """Give the rows of a table."""
    yield ["id", "name"]
    yield [1, 'Ann "A." Lee']


@app.get("/rows.csv")
def stream() -> CSVResponse:
    """Stream a table."""
    return CSVResponse(rows(), headers={"Content-Disposition": 'attachment; filename="rows.csv"'})
