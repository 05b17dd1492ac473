"""How RedisLog reaches its server: URLs, clients, processes, and errors that say what is wrong without a password."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.asyncio

from streamkit.channels.redis import RedisLog
from streamkit.errors import LogUnavailableError
from tests.channels.conftest import NewLog
from tests.channels.ear import Ear
from tests.rig.relay import Relay
from tests.rig.requirements import needs
from tests.rig.servers import ROOT, free_port
from tests.rig.valkey import Sentinel, Valkey

pytestmark = needs("redis", "valkey")


class TestAddress:
    @pytest.mark.parametrize(
        "url",
        [
            "http://:hidden@host/0",
            "host:6379",
            "",
            "redis://:hidden@host:99999/0",
            "redis://:hid:den@host:den/0",
            "redis://:hidden@host/orders",
            "redis://:hidden@[host/0",
            "redis://:hidden@host/0?socket_timeout=many",
        ],
    )
    def test_a_url_that_cannot_be_used_is_refused(self, url: str) -> None:
        """At once, with what one looks like, and without its password."""
        with pytest.raises(ValueError, match="redis://host:6379/0") as caught:
            RedisLog(url)
        assert "hid" not in str(caught.value)
        assert "den" not in str(caught.value)

    def test_an_unknown_option_is_refused(self) -> None:
        """At once, not when the first event is published."""
        with pytest.raises(ValueError, match="colour") as caught:
            RedisLog("redis://:hidden@host/0?colour=red")
        assert "hidden" not in str(caught.value)

    @pytest.mark.parametrize("given", [None, 6379, b"redis://host", redis.asyncio.Redis()])
    def test_what_is_neither_url_nor_client_is_refused(self, given: object) -> None:
        """Among them a client of asyncio: RedisLog makes its calls in threads."""
        with pytest.raises(TypeError, match=r"a URL or a redis\.Redis"):
            RedisLog(given)  # type: ignore[arg-type]

    @pytest.mark.parametrize("probe", [0, -1.0, True, "30", float("nan")])
    def test_a_probe_is_seconds(self, probe: object) -> None:
        """Anything else is named and shown."""
        with pytest.raises(ValueError, match=r"RedisLog\.probe must be seconds above zero"):
            RedisLog("redis://host", probe=probe)  # type: ignore[arg-type]

    def test_a_client_lends_its_settings(self, valkey: Valkey, prefix: str) -> None:
        """Also one that decodes what it reads and speaks RESP 3; the client itself stays as it was."""
        client = valkey.client(decode_responses=True, protocol=3, client_name=prefix, db=3)
        log, ear = RedisLog(client, prefix=prefix), Ear()
        log.watch("a", ear)
        ear.wait_for_look()
        log.append("a", b"t\n\xff")
        ear.wait_for(lambda: ear.payloads == [b"t\n\xff"])
        assert log.page("a", None).entries[0].payload == b"t\n\xff"
        assert {(line["name"], line["db"]) for line in client.client_list() if line["name"] == prefix} == {
            (prefix, "3")
        }
        assert repr(log) == f"RedisLog(redis://127.0.0.1:{valkey.port}/3)"
        log.close()
        assert client.get("nothing") is None
        client.close()

    def test_a_unix_socket_is_an_address(self, tmp_path: object) -> None:
        """The server is called by its path."""
        path = f"{tmp_path}/s"
        with Valkey(("unixsocket", path)):
            log, ear = RedisLog(f"unix://{path}?db=2"), Ear()
            log.watch("a", ear)
            ear.wait_for_look()
            log.append("a", b"t\n1")
            ear.wait_for(lambda: ear.payloads == [b"t\n1"])
            assert repr(log) == f"RedisLog(unix://{path}?db=2)"
            log.close()

    def test_sentinels_lead_to_the_primary(self, valkey: Valkey, prefix: str) -> None:
        """A client of redis-py's Sentinel lends its way to find the server."""
        with Sentinel(valkey.port) as guard:
            sentinels: Any = redis.Sentinel
            client = sentinels([("127.0.0.1", guard.port)]).master_for("main")
            log, ear = RedisLog(client, prefix=prefix), Ear()
            log.watch("a", ear)
            ear.wait_for_look()
            log.append("a", b"t\n1")
            ear.wait_for(lambda: ear.payloads == [b"t\n1"])
            assert repr(log) == "RedisLog(sentinel main)"
            log.close()


class TestErrors:
    def test_a_server_that_is_not_there_is_named(self) -> None:
        """With what was to be done; its password is not."""
        log = RedisLog(f"redis://me:hidden@127.0.0.1:{free_port()}/5")
        calls: dict[str, Callable[[], object]] = {
            "publish to channel 'a'": lambda: log.append("a", b"t\n"),
            "read channel 'a'": lambda: log.page("a", None),
            "find channel 'a'": lambda: log.exists("a"),
            "hold the lease 'a'": lambda: log.hold("a", "me", 1.0),
            "read the lease 'a'": lambda: log.holder("a"),
            "release the lease 'a'": lambda: log.release("a", "me"),
        }
        for operation, call in calls.items():
            with pytest.raises(LogUnavailableError) as caught:
                call()
            assert caught.value.operation == operation
            assert caught.value.log == repr(log)
            assert "/5) failed to" in str(caught.value)
            assert "hidden" not in str(caught.value) + repr(caught.value)

    def test_a_wrong_password_is_said_and_not_shown(self) -> None:
        """It is the server's word that reaches the log."""
        with Valkey(("requirepass", "right"), password="right") as server:
            log = RedisLog(f"redis://:hidden@127.0.0.1:{server.port}/0")
            with pytest.raises(LogUnavailableError, match=r"(?i)password") as caught:
                log.append("a", b"t\n")
            assert "hidden" not in str(caught.value)
            with pytest.raises(LogUnavailableError, match=r"(?i)auth"):
                RedisLog(server.url).append("a", b"t\n")
            assert RedisLog(f"redis://:right@127.0.0.1:{server.port}/0").append("a", b"t\n").stored

    def test_a_server_that_may_not_write_is_named(self) -> None:
        """MISCONF: it cannot save its data, and takes no more."""
        with Valkey() as server:
            log = RedisLog(server.url)
            log.append("a", b"t\n")
            server.break_its_disk()
            with pytest.raises(LogUnavailableError, match="MISCONF"):
                log.append("a", b"t\n")

    def test_a_key_that_is_not_ours_is_named(self, new_log: NewLog, valkey: Valkey, prefix: str) -> None:
        """Something else has the name of the channel."""
        valkey.do("SET", f"{prefix}:{{a}}", "mine")
        with pytest.raises(LogUnavailableError, match="WRONGTYPE"):
            new_log().append("a", b"t\n")

    def test_a_server_that_is_too_old_is_refused(self, valkey: Valkey) -> None:
        """It would fail only once something has to be trimmed."""
        with Relay(valkey.port, reply=lambda data: re.sub(rb"(redis_version:)\d\.\d", rb"\g<1>6.0", data)) as relay:
            log = RedisLog(f"redis://127.0.0.1:{relay.port}/0")
            for _ in range(2):
                with pytest.raises(LogUnavailableError, match=r"is Redis 6\.0\.\d+, and 6\.2 or later is needed"):
                    log.append("a", b"t\n")

    def test_a_user_who_may_not_ask_the_version_may_publish(self, valkey: Valkey, prefix: str) -> None:
        """With rights for its own keys and channels only."""
        rights = ("resetchannels", f"~{prefix}:*", f"&{prefix}:*", "+@all", "-info", "-@admin", "-@dangerous")
        valkey.do("ACL", "SETUSER", prefix, "on", ">pass", *rights)
        log, ear = RedisLog(f"redis://{prefix}:pass@127.0.0.1:{valkey.port}/0", prefix=prefix), Ear()
        log.watch("a", ear)
        ear.wait_for_look()
        log.append("a", b"t\n1", key="k")
        ear.wait_for(lambda: ear.payloads == [b"t\n1"])
        log.close()


class TestProcesses:
    def test_a_fork_makes_connections_of_its_own(self, new_log: NewLog, valkey: Valkey) -> None:
        """Parent and child publish and watch side by side; neither reads the other's replies."""
        log, ear = new_log(), Ear()
        log.watch("a", ear)
        ear.wait_for_look()
        log.append("a", b"t\nparent")
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                mine = Ear()
                log.watch("a", mine)
                mine.wait_for_look()
                for _ in range(50):
                    log.append("a", b"t\nchild")
                mine.wait_for(lambda: mine.payloads.count(b"t\nchild") == 50)
                code = 0
            finally:
                os._exit(code)
        for _ in range(50):
            log.append("a", b"t\nparent")
        assert _exit_code(pid) == 0
        ear.wait_for(lambda: len(ear.entries) == 101)
        offsets = [entry.position.offset for entry in ear.entries]
        assert offsets == list(range(1, 102))

    def test_a_fork_while_the_log_is_locked_hangs_nobody(self, new_log: NewLog) -> None:
        """Another thread of the parent may hold the lock at that moment; the child has one of its own."""
        log = new_log()
        held, release = threading.Event(), threading.Event()

        def hold() -> None:
            with log._lock:
                held.set()
                release.wait(20.0)

        threading.Thread(target=hold, daemon=True).start()
        assert held.wait(5.0)
        pid = os.fork()
        if pid == 0:
            log.append("a", b"t\n")
            os._exit(0)
        code = _exit_code(pid)
        release.set()
        assert code == 0

    def test_threads_do_not_share_a_connection_at_a_time(self, new_log: NewLog) -> None:
        """Each call gets its own reply."""
        log = new_log()
        offsets: dict[str, list[int]] = {}

        def publish(name: str) -> None:
            offsets[name] = [log.append(name, b"t\n").position.offset for _ in range(100)]

        threads = [threading.Thread(target=publish, args=(f"channel {number}",)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30.0)
        assert len(offsets) == 8
        assert set(map(tuple, offsets.values())) == {tuple(range(1, 101))}

    def test_the_extra_is_named_where_redis_py_is_missing(self) -> None:
        """The import says what to install; streamkit.channels itself needs nothing."""
        script = (
            "import sys, json; sys.modules['redis'] = None; import streamkit.channels\n"
            "try: import streamkit.channels.redis\n"
            "except ImportError as exc: print(json.dumps(str(exc)))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
        )
        assert "pip install streamkit-http[redis]" in json.loads(done.stdout)


def _exit_code(pid: int) -> int:
    """Return how a child ended; kill it where it does not."""
    until = time.monotonic() + 15.0
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -signal.SIGKILL
