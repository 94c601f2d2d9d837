"""A pytest plugin: gives kazoo's suite the target's servers in place of an
ensemble of its own, picks a shard, and writes down what came of it."""

import json
import os
import socket
import zlib

import kazoo.testing.harness
import pytest
import pytest_report
from _pytest.runner import runtestprotocol

PLAN = json.loads(os.environ["DOLMEN_KAZOO_PLAN"])

# They stop servers or change the members, so that nothing else may run beside.
ALONE = ("request_queuing", "test_update_host_list", "TestReadOnlyMode", "TestReconfig")

# No reference for these: the original fails or skips them in the same place.
OUT_OF_SCOPE = {}
if PLAN["tls"] is None:
    OUT_OF_SCOPE["TestSSLClient"] = "the servers are started without TLS"
if PLAN["target"] != "dolmen":
    OUT_OF_SCOPE["TestReadOnlyMode"] = "wants local sessions, which are not switched on here"

# It wants its connection dropped before a set of 1 MB is answered, and drops it
# behind the set: a server that is quick answers first now and then.
RACE, TRIES = "TestConnectionDrop::test_connection_dropped", 5


class Server:
    running = True

    def __init__(self, number, address):
        self.number, self.address = number, address
        self.secure_address = address  # TLS on the same port
        self.host, _, port = address.rpartition(":")
        self.client_port = int(port)

    def _ask(self, what):
        with socket.socket(socket.AF_UNIX) as hook:
            hook.connect(PLAN["hooks"])
            with hook.makefile("rw") as lines:
                lines.write(f"{what} {self.number}\n")
                lines.flush()
                answer = lines.readline().strip()
        assert answer == "done", answer

    def stop(self):
        self._ask("stop")

    def run(self):
        self._ask("start")


class Cluster(list):
    """The running servers. They are started and ended elsewhere, so that a test
    class that is done with them changes nothing."""

    def start(self):
        pass

    def terminate(self):
        pass

    def get_logs(self):
        return []

    def get_ssl_client_configuration(self):
        return {name: text.encode() for name, text in PLAN["tls"].items()}


CLUSTER = Cluster(Server(i, address) for i, address in enumerate(PLAN["servers"]))
kazoo.testing.harness.get_global_cluster = lambda: CLUSTER


def _is_ours(item):
    alone = any(name in item.nodeid for name in ALONE)
    if alone or PLAN["shard"] == "alone":
        return alone and PLAN["shard"] == "alone"
    mine, all_ = map(int, PLAN["shard"].split("/"))
    return zlib.crc32(item.nodeid.encode()) % all_ == mine


def pytest_collection_modifyitems(config, items):
    ours = [item for item in items if _is_ours(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in ours])
    items[:] = ours
    for item in items:
        for name, why in OUT_OF_SCOPE.items():
            if name in item.nodeid:
                item.add_marker(pytest.mark.skip(reason=why))


def pytest_runtest_protocol(item, nextitem):
    if RACE not in item.nodeid:
        return None
    for _ in range(TRIES):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if not any(report.failed for report in reports):
            break
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    return True


def pytest_terminal_summary(terminalreporter):
    pytest_report.write(terminalreporter, PLAN["report"], "kazoo/tests/")
