"""Two servers behind nginx, and a Valkey whose data outlive a kill."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.chaos.stage import Stage
from tests.rig.nginx import Nginx
from tests.rig.relay import Relay
from tests.rig.servers import SERVERS, Server
from tests.rig.valkey import Valkey


class RedisStage(Stage):
    """Kill servers; restart, restore, wipe and pause Valkey, and cut what is connected to it."""

    def begin(self) -> None:
        """Start Valkey, the servers, and what is between them."""
        # "no": each command is written before it is answered, but the disk is not waited for. No power fails here.
        self._valkey: Valkey = self._ends.enter_context(Valkey(("appendfsync", "no"), appendonly=True))
        self._relay = self._ends.enter_context(Relay(self._valkey.port))
        self._snapshots: list[Path] = []
        self._servers: list[Server] = []
        self.log = self._valkey.url
        self.publisher_log = f"redis://127.0.0.1:{self._relay.port}/0"
        self._ends.callback(self._retire_all)
        for _ in range(2):
            self._servers.append(self._serve())
        self.port = self._ends.enter_context(Nginx([server.port for server in self._servers])).port
        self.servers = {
            "server killed": lambda: self._kill([self.server_dice.randrange(2)]),
            "both servers killed": lambda: self._kill([0, 1]),
            "server restarted": self._restart,
        }
        self.disasters = {
            "Valkey restarted with its data": self._valkey.restart,
            "Valkey restored from a snapshot": self._restore,
            "Valkey wiped": self._wipe,
            "Valkey wiped again and again": self._wipe_often,
            "Valkey hung": self._hang,
            "pub/sub severed": self._sever,
            "all connections to Valkey severed": self._sever_all,
            "replies to the publisher lost": self._lose_replies,
            "replies to the publisher lost, Valkey restored": self._lose_replies_and_restore,
        }

    def remember(self) -> None:
        """Copy the data of Valkey."""
        self._snapshots.append(self._valkey.snapshot())

    def _serve(self, port: int | None = None) -> Server:
        return self.serve(SERVERS["uvicorn-httptools"], "tests.rig.apps.numbers:app", port)

    def _retire_all(self) -> None:
        for server in self._servers:
            self.retire(server)

    # -- servers -------------------------------------------------------------------------------------------------

    def _kill(self, places: list[int]) -> None:
        for place in places:
            self.retire(self._servers[place])
        time.sleep(self.server_dice.uniform(0.0, 1.0))
        for place in places:
            self._servers[place] = self._serve(self._servers[place].port)

    def _restart(self) -> None:
        place = self.server_dice.randrange(2)
        server = self._servers[place]
        server.signal(signal.SIGTERM)
        server.wait_until_gone(15.0)
        self.retire(server)
        self._servers[place] = self._serve(server.port)

    # -- Valkey --------------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        self.rollbacks += 1
        self._valkey.restore(self.log_dice.choice(self._snapshots))

    def _wipe(self) -> None:
        self.rollbacks += 1
        self._valkey.wipe()

    def _wipe_often(self) -> None:
        for _ in range(5):
            self._wipe()
            time.sleep(self.log_dice.choice([0.0, 0.002, 0.02, 0.2]))

    def _hang(self) -> None:
        self._valkey.pause()
        time.sleep(self.log_dice.uniform(0.5, 3.0))
        self._valkey.go_on()

    def _sever(self) -> None:
        self._valkey.sever()

    def _sever_all(self) -> None:
        self._valkey.do("CLIENT", "KILL", "TYPE", "normal")
        self._valkey.sever()

    def _lose_replies(self) -> None:
        self._relay.reply = lambda _: b""
        time.sleep(self.log_dice.uniform(0.05, 1.5))
        self._relay.reply = bytes
        self._relay.cut()

    def _lose_replies_and_restore(self) -> None:
        """Have a number stored and seen, and gone before its publisher has an answer; it is published again."""
        self._relay.reply = lambda _: b""
        time.sleep(self.log_dice.uniform(0.05, 0.5))
        self._restore()
        self._relay.reply = bytes
        self._relay.cut()
