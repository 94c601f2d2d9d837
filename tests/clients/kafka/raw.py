"""Kafka's protocol by hand, in versions before the compact ones: what no client
would say can be said with it."""

import socket
import struct

PRODUCE, FETCH, LIST_OFFSETS, METADATA = 0, 1, 2, 3
OFFSET_COMMIT, FIND_COORDINATOR, JOIN_GROUP, HEARTBEAT, SYNC_GROUP = 8, 10, 11, 12, 14
API_VERSIONS, CREATE_TOPICS, INIT_PRODUCER_ID = 18, 19, 22
ADD_PARTITIONS_TO_TXN, END_TXN = 24, 26

SECONDS = 20


def i8(value):
    return struct.pack(">b", value)


def i16(value):
    return struct.pack(">h", value)


def i32(value):
    return struct.pack(">i", value)


def i64(value):
    return struct.pack(">q", value)


def text(value):
    return i16(-1) if value is None else i16(len(value.encode())) + value.encode()


def data(value):
    return i32(-1) if value is None else i32(len(value)) + value


def array(items):
    return i32(len(items)) + b"".join(items)


def varint(value):
    """Zigzag, as in records."""
    value, found = (value << 1) ^ (value >> 63), b""
    while value > 0x7F:
        found, value = found + bytes([value & 0x7F | 0x80]), value >> 7
    return found + bytes([value])


def unsigned(value):
    found = b""
    while value > 0x7F:
        found, value = found + bytes([value & 0x7F | 0x80]), value >> 7
    return found + bytes([value])


def crc32c(payload, table=[]):
    if not table:
        for byte in range(256):
            for _ in range(8):
                byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
            table.append(byte)
    crc = 0xFFFFFFFF
    for byte in payload:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def record(value, delta=0, key=None):
    part = lambda some: varint(-1) if some is None else varint(len(some)) + some
    body = i8(0) + varint(0) + varint(delta) + part(key) + part(value) + varint(0)
    return varint(len(body)) + body


def batch(
    values=(b"value",),
    *,
    magic=2,
    attributes=0,
    producer=(-1, -1, -1),
    count=None,
    records=None,
    crc=None,
    length=None,
    last_delta=None,
):
    """A batch of records; what is named is said in place of what would be true."""
    if records is None:
        records = b"".join(record(value, delta) for delta, value in enumerate(values))
    count = len(values) if count is None else count
    last_delta = len(values) - 1 if last_delta is None else last_delta
    identity, epoch, sequence = producer
    at = 1_700_000_000_000
    behind = i16(attributes) + i32(last_delta) + i64(at) + i64(at) + i64(identity) + i16(epoch)
    behind += i32(sequence) + i32(count) + records
    crc = crc32c(behind) if crc is None else crc
    rest = i32(0) + i8(magic) + struct.pack(">I", crc) + behind
    return i64(0) + i32(len(rest) if length is None else length) + rest


class Closed(Exception):
    """The other side has ended the connection."""


class Reader:
    def __init__(self, payload):
        self.payload, self.at = payload, 0

    def _take(self, form):
        (value,) = struct.unpack_from(form, self.payload, self.at)
        self.at += struct.calcsize(form)
        return value

    def i8(self):
        return self._take(">b")

    def i16(self):
        return self._take(">h")

    def i32(self):
        return self._take(">i")

    def i64(self):
        return self._take(">q")

    def text(self):
        length = self.i16()
        if length < 0:
            return None
        self.at += length
        return self.payload[self.at - length : self.at].decode()

    def data(self):
        length = self.i32()
        if length < 0:
            return None
        self.at += length
        return self.payload[self.at - length : self.at]

    def array(self, item):
        return [item() for _ in range(self.i32())]


class Connection:
    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), SECONDS)
        self.socket.settimeout(SECONDS)
        self.correlation = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def raw(self, payload):
        """Bytes as they are, without a length before them."""
        try:
            self.socket.sendall(payload)
        except OSError as error:
            raise Closed(str(error)) from None

    def say(self, key, version, body, flexible=False):
        self.correlation += 1
        head = i16(key) + i16(version) + i32(self.correlation) + text("raw")
        self.raw(data(head + (b"\0" if flexible else b"") + body))

    def heard(self):
        """The next frame."""
        length = struct.unpack(">i", self._exactly(4))[0]
        frame = Reader(self._exactly(length))
        correlation = frame.i32()
        if correlation != self.correlation:
            raise AssertionError(f"answer {correlation} to question {self.correlation}")
        return frame

    def ask(self, key, version, body, flexible=False):
        self.say(key, version, body, flexible)
        return self.heard()

    def _exactly(self, count):
        found = bytearray()
        while len(found) < count:
            try:
                piece = self.socket.recv(min(count - len(found), 1 << 20))
            except ConnectionError as error:
                raise Closed(str(error)) from None
            if not piece:
                raise Closed("ended")
            found += piece
        return bytes(found)

    def is_alive(self):
        """Whether it answers a plain question."""
        try:
            return self.ask(API_VERSIONS, 0, b"").i16() == 0
        except Closed:
            return False

    def is_ended(self):
        """Whether the other side ends it without another word."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False
