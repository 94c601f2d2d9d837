"""Dolmen as a target: `dolmen dev` on loopback; in namespaces, three machines
of one node each, made a cluster by `init` and `join`."""

import json
import signal
import socket
import subprocess
import time
from pathlib import Path

from cluster import NODES, POLL_SECONDS, Cluster, Node, until

START_SECONDS = 60
DEV_END_SECONDS = 20
PORTS_PER_NODE = 100
# In a node's data folder.
STARTS = "dolmen.starts"


class Dolmen(Cluster):
    ends_on_full_disk = False

    def __init__(self, *args, binary, nodes=NODES):
        super().__init__(*args)
        self.binary, self.count = binary, nodes
        # Where each node's Kafka door is.
        self.brokers = {}
        self.dev = None

    def start(self):
        if self.network:
            self._start_machines()
        else:
            self._start_dev()

    def end(self):
        super().end()
        if self.dev is None:
            return
        # It stops what it started, also nodes that it had not told of yet.
        self.dev.send_signal(signal.SIGINT)
        try:
            self.dev.wait(timeout=DEV_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.dev.kill()
            self.dev.wait()

    # -- loopback

    def _start_dev(self):
        if self.disk is not None and self.count > 1:
            raise ValueError("a small disk for one node needs namespaces: dev has one folder")
        data = (self.folder if self.disk is None else self.disk.path) / "dev"
        said = open(self.folder / "dev-said", "wb")
        # Interrupted it stops its nodes; killed it would leave them behind.
        command = ["setpriv", "--pdeathsig", "INT", self.binary, "dev", "--nodes", self.count, "--data", data]
        command += ["--base-port", free_base()]
        self.dev = subprocess.Popen([str(word) for word in command], stdout=said, stderr=said)
        listing = data / "cluster.json"

        def is_listed():
            if self.dev.poll() is not None:
                said.flush()
                words = (self.folder / "dev-said").read_text()
                raise RuntimeError(f"dolmen dev ended with {self.dev.returncode}: {words}")
            return listing.exists()

        until("dolmen dev says that every door answers", is_listed, START_SECONDS)
        for listed in json.loads(listing.read_text())["nodes"]:
            number = listed["id"]
            self.brokers[number] = listed["doors"].get("kafka")
            host, _, port = listed["doors"]["zookeeper"].rpartition(":")
            command = [*self.within(number), self.binary, "serve"]
            command += ["--config", listed["config"]]
            said = self.folder / f"node-{number}-said"
            starts = Path(listed["data"]) / STARTS
            node = Node(number, (host, int(port)), command, said, starts)
            node.adopt(listed["pid"])
            self.nodes[number] = node

    # -- namespaces

    def _start_machines(self):
        for number in range(1, self.count + 1):
            home = self.folder / f"node-{number}"
            home.mkdir()
            self.data(number).mkdir()
            host = self.network.address(number)
            (home / "dolmen.toml").write_text(
                f'node.data = "{self.data(number)}"\n'
                f'admin.socket = "{self._socket(number)}"\n'
                f'doors.zookeeper.listen = "{host}:2181"\n'
                "doors.zookeeper.open = true\n"
                f'doors.kafka.listen = "{host}:9092"\n'
                "doors.kafka.open = true\n"
                f'peers.control.listen = "{host}:7300"\n'
                f'peers.bulk.listen = "{host}:7301"\n'
            )
            command = [*self.within(number), self.binary, "serve"]
            command += ["--config", home / "dolmen.toml"]
            starts = self.data(number) / STARTS
            self.nodes[number] = Node(number, (host, 2181), command, home / "said", starts)
            self.nodes[number].start()
            self.brokers[number] = f"{host}:9092"
        for number in self.nodes:
            socket_ = self._socket(number)
            until(f"node {number} opens {socket_}", socket_.exists, START_SECONDS)
        self._ask(1, "init")
        for number in range(2, self.count + 1):
            self._ask(number, "join", self._token())

    def _socket(self, number):
        # Beside the data: a socket's name may have 108 bytes, no more.
        return self.folder / f"admin-{number}.sock"

    def _token(self):
        said = self._ask(1, "token", "create", "--json")
        return json.loads(said)["token"]

    def _ask(self, number, *words):
        """A command to a node over its admin socket, again while it is busy
        with the one before."""
        command = [self.binary, *words, "--socket", self._socket(number)]
        end = time.monotonic() + START_SECONDS
        while True:
            done = subprocess.run([str(word) for word in command], capture_output=True, timeout=60)
            if done.returncode == 0:
                return done.stdout.decode()
            if done.returncode == 2 or time.monotonic() > end:
                words = " ".join(words)
                raise RuntimeError(f"dolmen {words} at node {number}: {done.stderr.decode()}")
            time.sleep(POLL_SECONDS)


def free_base():
    """A base from which no door's port of any node is taken at this moment."""
    for base in range(20_000, 60_000, NODES * PORTS_PER_NODE + PORTS_PER_NODE):
        first = [base + PORTS_PER_NODE * node for node in range(1, NODES + 1)]
        if all(is_free(port + door) for port in first for door in range(1, 9)):
            return base
    raise OSError("no free base port")


def is_free(port):
    try:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as trial:
                trial.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
