"""How to reach the server: what is taken from a URL or a client, connections per process, and errors in our words.

redis-py's own retries are off and its time-outs are ours, so that a call ends in time and is never made twice unasked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from streamkit._engine.threads import PerProcess, under_gevent
from streamkit.channels._native import at_end, new_local
from streamkit.errors import LogUnavailableError

OLDEST = (6, 2)
"""The first Redis that trims a stream by id. Valkey calls itself Redis 7.2."""

FAILURES = (redis.RedisError, OSError)
"""What redis-py raises, whatever went wrong."""


class Server:
    """A client of one process, and of one thread under gevent, whose sockets belong to the thread that made them."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self._scripts: dict[str, Any] = {}
        self._checked = False

    def run(self, script: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Return what a script returns, as redis-py gives it."""
        return self._script(script)(keys=keys, args=args)

    def run_each(self, script: str, keys: Iterable[str], args: Sequence[Any]) -> list[Any]:
        """Return what a script returns for each key, or the error that it ends with, asked in one go."""
        run = self._script(script)
        with self.client.pipeline(transaction=False) as pipeline:
            for key in keys:
                run(keys=[key], args=args, client=pipeline)
            return pipeline.execute(raise_on_error=False)

    def _script(self, script: str) -> Any:
        if not self._checked:
            self._check_version()
        if script not in self._scripts:
            self._scripts[script] = self.client.register_script(script)
        return self._scripts[script]

    def _check_version(self) -> None:
        try:
            version = str(self.client.info("server")["redis_version"])
        except redis.exceptions.NoPermissionError:
            version = "unknown, as this user may not ask"
        if version[0].isdigit() and tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
            raise redis.RedisError(f"the server is Redis {version}, and 6.2 or later is needed")
        self._checked = True


class Connections:
    """Connections to one server, for each process its own.

    Args:
        url_or_client: A URL, or a sync client whose settings are taken.
        timeout: Seconds that one operation may take.
    """

    def __init__(self, url_or_client: str | redis.Redis, timeout: float) -> None:
        self._source, pool = url_or_client, _pool_of(url_or_client)
        # Up to half for connecting, or for a server that is silent; each is waited for once.
        settings = {name: value for name, value in pool.connection_kwargs.items() if not name.startswith(_DROPPED)}
        settings |= {"socket_timeout": timeout / 2, "socket_connect_timeout": timeout / 2, "retry_on_timeout": False}
        settings |= {"retry": Retry(NoBackoff(), 0), "retry_on_error": [], "health_check_interval": 0}
        settings |= {"decode_responses": False, "protocol": 2}
        self._class, self._settings = pool.connection_class, settings
        self.db = int(settings.get("db") or 0)
        self.name = _name_of(pool)
        self._bags = PerProcess(lambda: new_local() if under_gevent() else SimpleNamespace())
        try:
            self.new()
        except (TypeError, ValueError, redis.RedisError) as exc:
            raise ValueError(f"{self.name} has an option that redis-py does not take: {exc}") from None

    def new(self) -> Any:  # a redis.Connection, whose methods redis-py leaves without types
        """Return a connection that is in no pool and not yet connected."""
        return self._class(**self._settings)

    def run(self, operation: str, script: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Return what a script returns.

        Raises:
            LogUnavailableError: The server does not answer in time, or refuses.
        """
        try:
            return self._here().run(script, keys, args)
        except FAILURES as exc:
            raise LogUnavailableError(self.name, operation, str(exc) or type(exc).__name__) from exc

    def run_each(self, script: str, keys: Sequence[str], args: Sequence[Any]) -> list[Any]:
        """Return what a script returns for each key, or why it does not: nothing is raised where the server is away."""
        try:
            return self._here().run_each(script, keys, args)
        except FAILURES as exc:
            return [exc] * len(keys)

    def close(self) -> None:
        """Close the connections of this process that are idle; a busy one is closed when it is done."""
        server = vars(self._bags.here()).pop("server", None)
        if server is not None:
            server.client.connection_pool.disconnect(inuse_connections=False)

    def _here(self) -> Server:
        bag = vars(self._bags.here())
        if "server" not in bag:
            bag.setdefault("server", self._new_server())
        server: Server = bag["server"]
        return server

    def _new_server(self) -> Server:
        pool = redis.ConnectionPool(connection_class=self._class, max_connections=2**31, **self._settings)
        at_end(pool.disconnect)
        return Server(redis.Redis(connection_pool=pool))


_DROPPED = ("maint_", "maintenance_", "orig_", "oss_", "event_dispatcher", "himport_")
"""What a client of redis-py puts among its settings for itself."""


def _pool_of(url_or_client: str | redis.Redis) -> redis.ConnectionPool:
    if isinstance(url_or_client, redis.Redis):
        return url_or_client.connection_pool
    if not isinstance(url_or_client, str):
        raise TypeError(f"RedisLog takes a URL or a redis.Redis, not {url_or_client!r:.200}")
    try:
        path = urlsplit(url_or_client).path.strip("/")
        if not url_or_client.startswith("unix:") and path and not path.isdecimal():
            raise ValueError("redis-py would take database 0 for it")
        return redis.ConnectionPool.from_url(url_or_client)
    except ValueError:
        # Neither the URL nor what urllib and redis-py say of it is shown: a password may be part of it.
        scheme = re.match("[a-z]*://", url_or_client)
        raise ValueError(
            "RedisLog takes a URL like redis://host:6379/0, rediss://host:6379/0 or unix:///path?db=0, and cannot read "
            f"the one that was given: it begins with {scheme[0] if scheme else 'no scheme'!r}"
        ) from None


def _name_of(pool: redis.ConnectionPool) -> str:
    """Return what errors call the server; never a password."""
    settings = pool.connection_kwargs
    if (service := getattr(pool, "service_name", None)) is not None:
        return f"RedisLog(sentinel {service})"
    db = settings.get("db") or 0
    if "path" in settings:
        return f"RedisLog(unix://{settings['path']}?db={db})"
    scheme = "rediss" if issubclass(pool.connection_class, redis.SSLConnection) else "redis"
    return f"RedisLog({scheme}://{settings.get('host', 'localhost')}:{settings.get('port', 6379)}/{db})"
