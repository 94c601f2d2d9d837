"""Registers: blind writes, sync + read, plain reads; and nodes changed by
compare-and-set on their version."""

import time
from dataclasses import dataclass

import jute
from history import OK, Op
from work.load import SYNC, Client

REGISTERS = [f"/register-{number}" for number in range(4)]
CAS = [f"/cas-{number}" for number in range(2)]


def value_of(data):
    """A node as made, empty, holds the register's first value."""
    return data.decode() or None


@dataclass(slots=True)
class PlainRead:
    """A read without a sync: only bound not to go back in time."""

    began: float
    ended: float
    key: str
    value: str | None
    version: int
    zxid: int


class RegisterClient(Client):
    # Of 10 operations.
    WRITES, SYNCED_READS = 4, 4

    def __init__(self, *args):
        super().__init__(*args)
        self.ops, self.plain = [], []

    def turn(self):
        key = self.dice.choice(REGISTERS)
        die = self.dice.randrange(10)
        if die < self.WRITES:
            op = Op(self.name, "write", key, 0.0, self.unique())
            self.ops.append(op)
            op.began = time.monotonic()
            request = (jute.SET_DATA, jute.set_data(key, op.value.encode(), jute.ANY_VERSION))
            self.do(op, request)
        elif die < self.WRITES + self.SYNCED_READS:
            read_synced(self, key, self.ops)
        else:
            self.read_plain(key)

    def read_plain(self, key):
        began = time.monotonic()
        ((_, reader),) = self.ask((jute.GET_DATA, jute.watched(key)))
        value, stat = value_of(reader.buffer()), reader.stat()
        read = PlainRead(began, time.monotonic(), key, value, stat.version, stat.mzxid)
        self.plain.append(read)
        self.heard.append(("read", read.ended, "data", key, stat.mzxid))


class PatientClient(RegisterClient):
    """Thinks long, so that it asks in the middle of a pause, and waits for
    the answer until after it."""

    session_ms = 10_000
    think_seconds = 6.0


class PlainClient(RegisterClient):
    """Reads without sync only: to show what they may do."""

    WRITES, SYNCED_READS = 5, 0


def read_synced(client, key, ops):
    op = Op(client.name, "read", key, time.monotonic())
    _, (_, reader) = client.ask(SYNC, (jute.GET_DATA, jute.watched(key)))
    op.value, stat = value_of(reader.buffer()), reader.stat()
    op.ended, op.outcome, op.version = time.monotonic(), OK, stat.version
    ops.append(op)
    client.heard.append(("read", op.ended, "data", key, stat.mzxid))
    return op


class CasClient(Client):
    """Reads a version, then asks for it."""

    def __init__(self, *args):
        super().__init__(*args)
        self.ops = []
        self.known = {}

    def turn(self):
        key = self.dice.choice(CAS)
        version = self.known.get(key)
        if version is None or self.dice.randrange(3) == 0:
            self.known[key] = read_synced(self, key, self.ops).version
            return
        op = Op(self.name, "cas", key, 0.0, self.unique(), expected=version)
        self.ops.append(op)
        del self.known[key]
        op.began = time.monotonic()
        request = (jute.SET_DATA, jute.set_data(key, op.value.encode(), version))
        reader = self.do(op, request, refusals=(jute.BAD_VERSION,))
        if reader is not None:
            op.version = self.known[key] = reader.stat().version


class Filler(Client):
    """Large values while a disk is full, at most 25 MB/s of them."""

    BYTES = 250_000
    think_seconds = 0.02
    PATH = "/filler"

    def turn(self):
        if self.load.flood.is_set():
            data = self.unique().encode().ljust(self.BYTES, b".")
            self.ask((jute.SET_DATA, jute.set_data(self.PATH, data, jute.ANY_VERSION)))
