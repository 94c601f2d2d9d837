"""Brokers to compare with, each a process on loopback: Tansu, which keeps all in
memory, and the mock cluster that librdkafka brings for its own tests. Both know
a part of the protocol; the sets name what of them is not to be believed."""

import install
from kit import HERE, Failed, Process, free_base_port, open_port, wait_for


class Broker:
    """One process that is ready once its port is open."""

    def __init__(self, number, command, log, address):
        self.number, self.command, self.log = number, command, log
        self.kafka, self.process = address, None

    def running(self):
        return self.process is not None and self.process.running()

    def start(self):
        if not self.running():
            self.process = Process(self.command, self.log)

    def answers(self):
        if not self.running():
            raise Failed(f"broker {self.number} ended: {self.process.tail()}")
        return open_port(self.kafka)

    def stop(self):
        if self.process is not None:
            self.process.end()

    def kill(self):
        self.process.kill()


class Fixed:
    """A broker whose settings are what they are."""

    def set(self, name, value):
        pass


class Tansu(Fixed):
    # What it acknowledged is gone when it ends.
    keeps, makes_topics = False, True

    def __init__(self, folder, name):
        self.name = name
        address = f"127.0.0.1:{free_base_port(1)}"
        command = [install.tansu(), "broker", "--storage-engine", "memory://tansu/"]
        command += ["--listener-url", f"tcp://{address}"]
        command += ["--advertised-listener-url", f"tcp://{address}"]
        self.nodes = [Broker(1, command, folder / "said", address)]

    @property
    def kafka(self):
        return self.nodes[0].kafka

    def start(self):
        for node in self.nodes:
            node.start()
            wait_for("the broker's port is open", node.answers)

    def stop(self):
        for node in self.nodes:
            node.stop()


class Mock(Fixed):
    """Three brokers in one process; it says where on its first line."""

    keeps, makes_topics = False, False

    def __init__(self, folder, name):
        self.name, self.nodes, self.kafka = name, [], None
        self.command = [install.kafka_python(), HERE / "kafka" / "mock.py"]
        self.log, self.process = folder / "said", None

    def start(self):
        self.process = Process(self.command, self.log)
        self.kafka = wait_for("the mock cluster says where it is", self._address, 30)

    def _address(self):
        if not self.process.running():
            raise Failed(f"the mock cluster ended: {self.process.tail()}")
        lines = [line for line in self.process.said().splitlines() if line.startswith("brokers ")]
        return lines[0].split()[1] if lines else None

    def stop(self):
        if self.process is not None:
            self.process.end()
