"""The records of ZooKeeper's wire: big-endian numbers, buffers and strings with
an int in front, vectors with a count. Written from the field lists alone, so
that a mistake in a server's codec is not repeated here."""

import struct

# A reply larger than this is a broken one.
FRAME_BYTES_MAX = 16 << 20

OPS = {
    "create": 1, "delete": 2, "exists": 3, "get": 4, "set": 5, "getacl": 6, "setacl": 7,
    "ls": 8, "sync": 9, "ping": 11, "ls2": 12, "check": 13, "multi": 14, "create2": 15,
    "reconfig": 16, "checkwatches": 17, "removewatches": 18, "createcontainer": 19,
    "deletecontainer": 20, "createttl": 21, "multiread": 22, "auth": 100, "setwatches": 101,
    "sasl": 102, "ephemerals": 103, "count": 104, "setwatches2": 105, "addwatch": 106,
    "whoami": 107, "close": -11,
}  # fmt: skip
ERRORS = {
    -1: "SystemError", -2: "RuntimeInconsistency", -3: "DataInconsistency", -4: "ConnectionLoss",
    -5: "MarshallingError", -6: "Unimplemented", -7: "OperationTimeout", -8: "BadArguments",
    -12: "UnknownSession", -13: "NewConfigNoQuorum", -14: "ReconfigInProgress", -100: "APIError",
    -101: "NoNode", -102: "NoAuth", -103: "BadVersion", -108: "NoChildrenForEphemerals",
    -110: "NodeExists", -111: "NotEmpty", -112: "SessionExpired", -113: "InvalidCallback",
    -114: "InvalidACL", -115: "AuthFailed", -118: "SessionMoved", -119: "NotReadOnly",
    -120: "EphemeralOnLocalSession", -121: "NoWatcher", -122: "RequestTimeout",
    -123: "ReconfigDisabled", -124: "SessionClosedRequireSasl", -125: "QuotaExceeded",
    -127: "Throttled",
}  # fmt: skip
EVENTS = {
    -1: "none", 1: "created", 2: "deleted", 3: "changed", 4: "children",
    5: "datawatchremoved", 6: "childwatchremoved", 7: "persistentwatchremoved",
}  # fmt: skip
FLAGS = {
    "persistent": 0, "ephemeral": 1, "sequential": 2, "ephemeral_sequential": 3,
    "container": 4, "ttl": 5, "ttl_sequential": 6,
}  # fmt: skip
PERMISSIONS = "rwcda"
STAT = (
    ("czxid", "q"), ("mzxid", "q"), ("ctime", "q"), ("mtime", "q"), ("version", "i"),
    ("cversion", "i"), ("aversion", "i"), ("owner", "q"), ("length", "i"),
    ("children", "i"), ("pzxid", "q"),
)  # fmt: skip


class Short(Exception):
    """A record ends before its fields do."""


def number(form, value):
    return struct.pack(">" + form, value)


def buffer(value):
    if value is None:
        return number("i", -1)
    return number("i", len(value)) + value


def string(value):
    return buffer(None if value is None else value.encode("utf-8", "surrogateescape"))


def boolean(value):
    return b"\x01" if value else b"\x00"


def vector(items):
    return number("i", len(items)) + b"".join(items)


def acl(text):
    """`world:anyone:rwcda,digest:a:hash:r`; permissions in letters or a number."""
    entries = []
    for entry in filter(None, text.split(",")):
        scheme, rest = entry.split(":", 1)
        id_, letters = rest.rsplit(":", 1)
        if letters.lstrip("-").isdigit():
            mask = int(letters)
        else:
            mask = sum(1 << PERMISSIONS.index(letter) for letter in letters)
        entries.append(number("i", mask) + string(scheme) + string(id_))
    return vector(entries)


def frame(payload):
    return number("i", len(payload)) + payload


class Reader:
    """Reads fields one after another and says when there are none left."""

    def __init__(self, payload):
        self.payload, self.at = payload, 0

    def left(self):
        return len(self.payload) - self.at

    def take(self, count):
        if count < 0 or count > self.left():
            raise Short(f"{count} bytes wanted, {self.left()} left")
        self.at += count
        return self.payload[self.at - count : self.at]

    def number(self, form):
        return struct.unpack(">" + form, self.take(struct.calcsize(">" + form)))[0]

    def buffer(self):
        length = self.number("i")
        return None if length == -1 else self.take(length)

    def string(self):
        value = self.buffer()
        return None if value is None else value.decode("utf-8", "backslashreplace")

    def vector(self, item):
        count = self.number("i")
        if count > self.left():
            raise Short(f"{count} items in {self.left()} bytes")
        return None if count == -1 else [item() for _ in range(count)]

    def stat(self):
        return {name: self.number(form) for name, form in STAT}

    def acl(self):
        mask, scheme, id_ = self.number("i"), self.string(), self.string()
        letters = "".join(letter for i, letter in enumerate(PERMISSIONS) if mask >> i & 1)
        return f"{scheme}:{id_}:{letters}"
