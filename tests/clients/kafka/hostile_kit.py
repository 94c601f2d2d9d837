"""What the hostile rows share: Kafka's error codes, where things are, and how far a
broker's memory grows."""

import functools
import os
from pathlib import Path

from raw import CREATE_TOPICS, FIND_COORDINATOR, METADATA, Connection, array, i8, i16, i32, text
from scenario import holds, name, until

# Kafka's error codes.
NONE, OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE, UNKNOWN_TOPIC_OR_PARTITION = 0, 1, 2, 3
MESSAGE_TOO_LARGE, OFFSET_METADATA_TOO_LARGE, NOT_COORDINATOR = 10, 12, 16
INVALID_TOPIC, INVALID_REQUIRED_ACKS, ILLEGAL_GENERATION = 17, 21, 22
INCONSISTENT_GROUP_PROTOCOL, INVALID_GROUP_ID, UNKNOWN_MEMBER_ID = 23, 24, 25
INVALID_SESSION_TIMEOUT, UNSUPPORTED_VERSION, INVALID_REQUEST = 26, 35, 42
OUT_OF_ORDER_SEQUENCE, DUPLICATE_SEQUENCE, INVALID_PRODUCER_EPOCH = 45, 46, 47
INVALID_TXN_STATE, INVALID_PRODUCER_ID_MAPPING, INVALID_TRANSACTION_TIMEOUT = 48, 49, 50
CONCURRENT_TRANSACTIONS, TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 51, 53
FETCH_SESSION_NOT_FOUND, UNKNOWN_LEADER_EPOCH, UNSUPPORTED_COMPRESSION = 70, 75, 76
MEMBER_ID_REQUIRED, INVALID_RECORD, PRODUCER_FENCED = 79, 87, 90
COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOADING = 15, 14

# What a broker may grow by while it is lied to, all connections together. Frames
# that are whole are held while they are read, so that this is not nothing.
GROWTH_BYTES_MAX = 256 << 20


def first(brokers):
    return brokers.split(",")[0]


# Where things are.


def metadata(connection, where):
    """The brokers' addresses, and the leaders of a topic's partitions."""
    found = connection.ask(METADATA, 4, array([text(where)]) + i8(0))
    found.i32()
    brokers = dict(found.array(lambda: (found.i32(), (found.text(), found.i32(), found.text()))))
    found.text(), found.i32()

    def partition():
        code, number, leader = found.i16(), found.i32(), found.i32()
        found.array(found.i32), found.array(found.i32)
        return number, (code, leader)

    def topic():
        return found.i16(), found.text(), found.i8(), dict(found.array(partition))

    ((code, _, _, partitions),) = found.array(topic)
    addresses = {broker: f"{host}:{port}" for broker, (host, port, _) in brokers.items()}
    return code, addresses, partitions


def create(connection, where):
    new = text(where) + i32(1) + i16(1) + array([]) + array([])
    made = connection.ask(CREATE_TOPICS, 2, array([new]) + i32(10_000) + i8(0))
    made.i32()
    ((_, code, why),) = made.array(lambda: (made.text(), made.i16(), made.text()))
    holds(code == NONE, f"create {where}: {code}, {why}")


@functools.cache
def topic(brokers, stem="hostile"):
    """A topic of one partition, and its leader's address."""
    where = name(stem)
    with Connection(first(brokers)) as connection:
        create(connection, where)

        def leader():
            code, addresses, partitions = metadata(connection, where)
            return code == NONE and addresses.get(partitions.get(0, (0, -1))[1])

        return where, until("the topic has a leader", leader)


def coordinator(brokers, key, kind=0):
    def found():
        with Connection(first(brokers)) as connection:
            said = connection.ask(FIND_COORDINATOR, 1, text(key) + i8(kind))
            said.i32()
            code, _, _, host, port = said.i16(), said.text(), said.i32(), said.text(), said.i32()
            if code in (COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOADING):
                return None
            holds(code == NONE, f"the coordinator of {key}: {code}")
            return f"{host}:{port}"

    return until(f"{key} has a coordinator", found)


class Growth:
    """How far the brokers' memory goes up meanwhile, where their processes are told."""

    def __enter__(self):
        self.pids = [int(pid) for pid in os.environ.get("HOSTILE_PIDS", "").split(",") if pid]
        for pid in self.pids:
            # The peak begins anew.
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        self.before = {pid: self._of(pid, "VmRSS") for pid in self.pids}
        return self

    def __exit__(self, *_):
        self.grown = {pid: self._of(pid, "VmHWM") - self.before[pid] for pid in self.pids}

    def check(self):
        for pid, grown in self.grown.items():
            holds(grown < GROWTH_BYTES_MAX, f"process {pid} grew by {grown >> 20} MiB")

    def _of(self, pid, what):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{what}:"))
