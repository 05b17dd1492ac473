"""Publish on channels, subscribe from views, and resume exactly, or with a gap that is told.

`MemoryLog` serves one process, `SQLiteLog` the workers of one machine, and `RedisLog`, which `streamkit.channels.redis`
has, several machines. An optional part: the core imports none of it.

    from streamkit.channels.redis import RedisLog    # needs redis: pip install "streamkit-http[redis]"
"""

from streamkit.channels._channels import Channels
from streamkit.channels._detached import Detached
from streamkit.channels._ends import Status
from streamkit.channels._log import Log
from streamkit.channels._options import Gap
from streamkit.channels._subscription import Subscription
from streamkit.channels.memory import MemoryLog
from streamkit.channels.sqlite import SQLiteLog
from streamkit.errors import LogFullError, LogUnavailableError, SealedError, UnknownStreamError

__all__ = [
    "Channels",
    "Detached",
    "Gap",
    "Log",
    "LogFullError",
    "LogUnavailableError",
    "MemoryLog",
    "SQLiteLog",
    "SealedError",
    "Status",
    "Subscription",
    "UnknownStreamError",
]


def __dir__() -> list[str]:
    return __all__
