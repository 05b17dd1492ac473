"""Publish on channels, subscribe from views, and resume exactly, or with a gap that is told.

`MemoryLog` serves one process, `SQLiteLog` the workers of one machine, and `RedisLog`, which `streamkit.channels.redis`
has, several machines. An optional part: the core imports none of it.
"""

from streamkit.channels.memory import MemoryLog

__all__ = ["MemoryLog"]
