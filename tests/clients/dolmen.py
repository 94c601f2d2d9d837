"""Dolmen as a target: `dolmen dev --nodes 3`, read from its cluster.json."""

import json
import subprocess
import os
from pathlib import Path

from certificates import Certificates
from kit import (
    ROOT,
    Failed,
    Process,
    end_foreign,
    free_base_port,
    is_gone,
    open_port,
    wait_for,
    word,
)
from zookeeper import SASL_USERS, SUPER_DIGEST


class Node:
    """One node: first a child of `dolmen dev`, once restarted one of ours."""

    def __init__(self, binary, folder, entry):
        self.binary, self.number = binary, entry["id"]
        self.address = entry["doors"]["zookeeper"]
        self.kafka = entry["doors"].get("kafka")
        self.config, self.pid = entry["config"], entry["pid"]
        self.folder, self.process = folder, None

    def running(self):
        if self.process is not None:
            return self.process.running()
        return not is_gone(self.pid)

    def start(self):
        if self.running():
            return
        command = [self.binary, "serve", "--config", self.config]
        self.process = Process(command, self.folder / f"said{self.number}")

    def answers(self):
        if not self.running():
            said = self.process.tail() if self.process else "see the words of dolmen dev"
            raise Failed(f"node {self.number} ended: {said}")
        said = word(self.address, b"srvr")
        serves = said is not None and b"Mode:" in said
        return serves and (self.kafka is None or open_port(self.kafka))

    def stop(self):
        if self.process is not None:
            self.process.end()
        else:
            end_foreign(self.pid)

    def kill(self):
        if self.process is not None:
            self.process.kill()
        elif self.running():
            os.kill(self.pid, 9)
            wait_for(f"node {self.number} is gone", lambda: is_gone(self.pid), 10)


class Target:
    name = "dolmen"
    # Of the protocol that the nodes state.
    version = "3.9.5"
    # What was acknowledged is there after a restart.
    keeps = True
    # A client can ask for a topic.
    makes_topics = True
    # Unless a set asks for another number.
    nodes_wanted = 3

    def __init__(self, folder, _name):
        self.folder, self.data, self.nodes, self.dev = folder, folder / "data", [], None
        self.binary = Path(os.environ.get("DOLMEN", ROOT / "target" / "release" / "dolmen"))
        if not self.binary.exists():
            raise Failed(f"no {self.binary}: build it, or say where with DOLMEN=")
        # The traces of the golden set are of servers without TLS.
        self.speaks_tls, self.certificates = False, None
        self.users = folder / "users"
        self.users.write_text("".join(f"{user}:{word}\n" for user, word in SASL_USERS.items()))

    @property
    def hosts(self):
        return ",".join(node.address for node in self.nodes)

    @property
    def kafka(self):
        silent = [node.number for node in self.nodes if node.kafka is None]
        if silent:
            raise Failed(f"nodes {silent} name no Kafka door in cluster.json")
        return ",".join(node.kafka for node in self.nodes)

    def start(self):
        settings = {
            "doors.zookeeper.super_digest": SUPER_DIGEST,
            "doors.zookeeper.read_only": "true",
            "doors.zookeeper.sasl_users_file": self.users,
            "doors.zookeeper.words": "*",
        }
        if self.speaks_tls:
            self.certificates = Certificates(self.folder / "certificates")
            settings["doors.zookeeper.tls_certificate"] = self.certificates.path("server.pem")
            settings["doors.zookeeper.tls_key"] = self.certificates.path("server.key")
            settings["doors.zookeeper.tls_client_ca"] = self.certificates.path("ca.pem")
        command = [self.binary, "dev", "--nodes", self.nodes_wanted, "--data", self.data]
        command += ["--base-port", free_base_port()]
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        self.dev = Process(command, self.folder / "said")
        cluster = wait_for("dolmen dev writes cluster.json", self._cluster)
        self.nodes = [Node(self.binary, self.folder, entry) for entry in cluster["nodes"]]
        for node in self.nodes:
            wait_for(f"node {node.number} serves", node.answers)

    def _cluster(self):
        if not self.dev.running():
            raise Failed(f"dolmen dev ended: {self.dev.tail()}")
        try:
            return json.loads((self.data / "cluster.json").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def set(self, name, value):
        """A setting of the cluster, which holds at once."""
        path, auth = f"/dolmen/config/{name}", "digest:super:test"
        command = [self.binary, "zk", "set", path, value, "--auth", auth]
        command += ["--server", self.nodes[0].address]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"{name} = {value} is refused: {done.stderr.strip()[-300:]}")

    def start_alone(self):
        """Nothing a client says may harm the three: they take all of it."""
        return self.nodes[0].address

    def stop(self):
        for node in self.nodes:
            node.stop()
        if self.dev is not None:
            self.dev.end()
