"""Jute: the bytes of the ZooKeeper protocol, as far as the nemesis speaks it."""

import struct
from dataclasses import dataclass

CREATE2, DELETE, EXISTS, GET_DATA, SET_DATA = 15, 2, 3, 4, 5
GET_CHILDREN2, SYNC, PING, MULTI, MULTI_READ = 12, 9, 11, 14, 22
SET_WATCHES2, ADD_WATCH, CLOSE = 105, 106, -11

EVENT_XID, PING_XID, SET_WATCHES_XID = -1, -2, -8
FIRST_XID_OF_ITS_OWN = 1

PERSISTENT, EPHEMERAL, SEQUENTIAL = 0, 1, 2
PERSISTENT_RECURSIVE = 1
ANY_VERSION = -1

CREATED, DELETED, DATA_CHANGED, CHILDREN_CHANGED = 1, 2, 3, 4

OK, CONNECTION_LOSS, OPERATION_TIMEOUT = 0, -4, -7
NO_NODE, BAD_VERSION, NODE_EXISTS, SESSION_EXPIRED = -101, -103, -110, -112

# No server of ours sends more; a longer one is a broken stream.
FRAME_BYTES_MAX = 16 << 20


@dataclass(frozen=True)
class Stat:
    czxid: int
    mzxid: int
    ctime: int
    mtime: int
    version: int
    cversion: int
    aversion: int
    owner: int
    length: int
    children: int
    pzxid: int


STAT = struct.Struct(">qqqqiiiqiiq")


def buffer(data):
    return struct.pack(">i", len(data)) + data


def text(value):
    return buffer(value.encode())


def texts(values):
    return struct.pack(">i", len(values)) + b"".join(text(value) for value in values)


# One entry: every permission for anyone.
OPEN_ACL = struct.pack(">ii", 1, 31) + text("world") + text("anyone")


def connect(last_zxid, timeout_ms, session, password):
    return struct.pack(">iqiq", 0, last_zxid, timeout_ms, session) + buffer(password) + b"\0"


def create(path, data, flags):
    return text(path) + buffer(data) + OPEN_ACL + struct.pack(">i", flags)


def versioned(path, version):
    """delete."""
    return text(path) + struct.pack(">i", version)


def set_data(path, data, version):
    return text(path) + buffer(data) + struct.pack(">i", version)


def watched(path, watch=False):
    """exists, getData and getChildren2."""
    return text(path) + (b"\1" if watch else b"\0")


def add_watch(path, mode):
    return text(path) + struct.pack(">i", mode)


def set_watches2(since, data, exist, child, persistent, recursive):
    lists = (data, exist, child, persistent, recursive)
    return struct.pack(">q", since) + b"".join(texts(sorted(paths)) for paths in lists)


MULTI_HEADER = struct.Struct(">i?i")


def multi(operations):
    """Operations are pairs of opcode and body."""
    parts = [MULTI_HEADER.pack(op, False, -1) + body for op, body in operations]
    return b"".join(parts) + MULTI_HEADER.pack(-1, True, -1)


class Reader:
    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def unpack(self, form):
        values = form.unpack_from(self.data, self.at)
        self.at += form.size
        return values

    def int(self):
        return self.unpack(INT)[0]

    def buffer(self):
        length = self.int()
        if length < 0:
            return b""
        taken = self.data[self.at : self.at + length]
        if len(taken) != length:
            raise ValueError(f"{length} bytes are said, {len(taken)} are there")
        self.at += length
        return taken

    def text(self):
        return self.buffer().decode()

    def texts(self):
        return [self.text() for _ in range(max(0, self.int()))]

    def stat(self):
        return Stat(*self.unpack(STAT))

    def results(self):
        """Those of a multi: pairs of error and what `RESULT` reads of the
        body. Where one part failed, every part has an error alone, which is
        0 for those before it."""
        found = []
        while True:
            op, done, error = self.unpack(MULTI_HEADER)
            if done:
                return found
            if op == -1:
                found.append((self.int(), None))
            else:
                found.append((error if error < 0 else OK, RESULT[op](self)))


INT = struct.Struct(">i")
REPLY_HEADER = struct.Struct(">iqi")
RESULT = {
    SET_DATA: Reader.stat,
    GET_DATA: lambda reader: (reader.buffer(), reader.stat()),
}
