"""SQLite with a limit on connections; Django finds the class by this module's name."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from django.db import OperationalError
from django.db.backends.sqlite3.base import DatabaseWrapper as SQLite

LIMIT = 5


class DatabaseWrapper(SQLite):
    """A connection that counts."""

    opened: ClassVar[list[str]] = []
    """The names of the threads whose connections are open."""
    _lock: ClassVar = threading.Lock()

    def get_new_connection(self, conn_params: Any) -> Any:
        """Open one, unless there are five."""
        with self._lock:
            if len(self.opened) >= LIMIT:
                raise OperationalError("all connections of the pool are taken")
            self._owner = threading.current_thread().name
            self.opened.append(self._owner)
        return super().get_new_connection(conn_params)

    def _close(self) -> None:
        if self.connection is not None:
            with self._lock:
                self.opened.remove(self._owner)
        super()._close()  # type: ignore[misc]
