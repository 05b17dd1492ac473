"""What a channel is called in Redis: any name is one of its own, and all its keys share a slot of a cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.channels.conftest import NewLog
from tests.channels.ear import Ear
from tests.rig.requirements import needs
from tests.rig.valkey import Valkey

pytestmark = needs("redis", "valkey")

NAMES = [
    "orders",
    "a}b",
    "{a}",
    "}{",
    "a b",
    "50%",
    "50%25",
    "%7D",
    "💡",
    "nul\0",
    "a:b",
    "a\r\nb",
    "key",
    "*",
    "é" * 127,
]


class TestNames:
    @pytest.mark.parametrize("name", [*NAMES, "x" * 255])
    def test_any_name_is_a_channel_of_its_own(self, new_log: NewLog, name: str) -> None:
        """What was published under a name is read and heard under it, and under no other."""
        log, ear = new_log(), Ear()
        log.watch(name, ear)
        ear.wait_for_look()
        log.append(name, b"t\n" + name.encode())
        ear.wait_for(lambda: bool(ear.entries))
        assert [entry.payload for entry in log.page(name, None).entries] == [b"t\n" + name.encode()] == ear.payloads
        assert not any(log.page(other, None).entries for other in NAMES if other != name)

    def test_two_prefixes_are_two_logs(self, new_log: NewLog) -> None:
        """Apps that share a server do not see each other's channels."""
        new_log(prefix="one").append("a", b"t\n1")
        assert not new_log(prefix="two").page("a", None).entries

    def test_two_databases_do_not_hear_each_other(self, new_log: NewLog, valkey: Valkey) -> None:
        """Pub/sub knows no databases, and a position of another would look like a loss."""
        here, there, ear = new_log(), new_log(valkey.url[:-1] + "1"), Ear()
        here.watch("a", ear)
        ear.wait_for_look()
        there.append("a", b"t\nthere")
        here.append("a", b"t\nhere")
        ear.wait_for(lambda: bool(ear.entries))
        assert ear.payloads == [b"t\nhere"]

    @pytest.mark.parametrize("prefix", ["", "a{b", "}", 7])
    def test_a_prefix_that_would_spread_keys_is_refused(self, new_log: NewLog, prefix: object) -> None:
        """Braces in it would decide the slot in place of the channel."""
        with pytest.raises(ValueError, match="prefix"):
            new_log(prefix=prefix)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Valkey]:
    """A cluster of one node."""
    with Valkey(("cluster-enabled", "yes")) as node:
        node.do("CLUSTER", "ADDSLOTS", *range(16384))
        until = time.monotonic() + 30.0
        while b"cluster_state:ok" not in node.do("CLUSTER", "INFO"):
            assert time.monotonic() < until, "the cluster does not come up"
            time.sleep(0.05)
        yield node


class TestCluster:
    @pytest.mark.parametrize("name", NAMES)
    def test_all_keys_of_a_channel_share_a_slot(self, cluster: Valkey, new_log: NewLog, name: str) -> None:
        """A cluster refuses a script that touches two slots, and this one does not; the names say the same."""
        log, ear = new_log(cluster.url, prefix="slots"), Ear()
        cluster.wipe()
        log.watch(name, ear)
        ear.wait_for_look()
        log.append(name, b"t\n1", key="}{ a key")
        assert log.page(name, None).entries
        assert log.hold(name, "me", 10.0)
        with cluster.client() as client:
            keys = client.keys("slots*")
            slots = {client.execute_command("CLUSTER", "KEYSLOT", key) for key in keys}
        assert len(keys) == 3
        assert len(slots) == 1
        log.release(name, "me")
        ear.wait_for(lambda: bool(ear.entries))
