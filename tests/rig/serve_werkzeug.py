"""Run Werkzeug's development server from a command line, as the other servers are: `module:name port`."""

from __future__ import annotations

import importlib
import sys

from werkzeug.serving import run_simple


def main(app: str, port: str) -> None:
    """Serve the application on 127.0.0.1, a thread per request."""
    module, _, name = app.partition(":")
    run_simple("127.0.0.1", int(port), getattr(importlib.import_module(module), name), threaded=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
