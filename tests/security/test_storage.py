"""What logs leave behind them: files that others on the machine may want to read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from streamkit.channels import SQLiteLog


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_file_that_only_its_owner_may_read_stays_so(tmp_path: Path) -> None:
    """One that is made beforehand keeps its mode, and the files that SQLite puts beside it take it over."""
    path = tmp_path / "events.db"
    path.touch(0o600)
    log = SQLiteLog(path)
    try:
        log.append("a", b"t\nsecret")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    finally:
        log.close()
    assert modes == {"events.db": 0o600, "events.db-wal": 0o600, "events.db-shm": 0o600}
