"""A proxy before each node that lies now and then, so that a run shows of every
check that it would speak up: with a lie and without any fault, something must
be found."""

import random
import socket
import struct
import threading
from contextlib import suppress

import jute

# One frame in so many that could carry the lie does.
EVERY = 20
# How many reads of a node an older answer lags behind.
STALE_REPLIES = 3


class Proxy:
    """Stands before one server. Frames pass whole; a lie decides what becomes
    of those that the server sends."""

    def __init__(self, target, lie, seed):
        self.target, self.lie, self.seed = target, lie, seed
        self.door = socket.create_server(("127.0.0.1", 0))
        self.address = self.door.getsockname()
        self.sockets = [self.door]
        threading.Thread(target=self._accept, daemon=True).start()

    def end(self):
        for each in self.sockets:
            each.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.door.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self.target, timeout=2)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self.sockets += [client, server]
            talk = Talk(random.Random(f"{self.seed} {len(self.sockets)}"))
            change, _ = LIES[self.lie]
            for arguments in (
                (client, server, talk.asked),
                (server, client, lambda frame, talk=talk: change(talk, frame)),
            ):
                threading.Thread(target=pump, args=arguments, daemon=True).start()


def pump(source, sink, change):
    """Hands on frame after frame, each as `change` makes it."""
    try:
        stream = source.makefile("rb")
        # The first frame is the session's opening, which has no header.
        is_first = True
        while len(head := stream.read(4)) == 4:
            frame = stream.read(struct.unpack(">i", head)[0])
            for one in [frame] if is_first else change(frame):
                sink.sendall(struct.pack(">i", len(one)) + one)
            is_first = False
    except OSError:
        pass
    finally:
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Talk:
    """One connection: what was asked under which xid, and what a lie keeps."""

    def __init__(self, dice):
        self.dice = dice
        self.requests = {}
        self.kept = []
        self.older = {}

    def asked(self, frame):
        xid, op = struct.unpack_from(">ii", frame)
        self.requests[xid] = (op, frame[8:])
        return [frame]

    def answered(self, frame):
        """The request of a reply: opcode, body, and the reply's error."""
        xid, _, code = jute.REPLY_HEADER.unpack_from(frame)
        return *self.requests.get(xid, (0, b"")), code

    def now(self):
        return self.dice.randrange(EVERY) == 0


def is_event(frame):
    return jute.REPLY_HEADER.unpack_from(frame)[0] == jute.EVENT_XID


def lost_event(talk, frame):
    return [] if is_event(frame) and talk.now() else [frame]


def doubled_event(talk, frame):
    return [frame, frame] if is_event(frame) and talk.now() else [frame]


def late_event(talk, frame):
    """An event comes after the next reply that could show its change."""
    if is_event(frame):
        if talk.kept or talk.now():
            talk.kept.append(frame)
            return []
        return [frame]
    op, _, code = talk.answered(frame)
    if op in (jute.GET_DATA, jute.GET_CHILDREN2) and code == jute.OK:
        frames, talk.kept = [frame, *talk.kept], []
        return frames
    return [frame]


def stale_data(talk, frame):
    """A getData is answered with what it gave some reads ago."""
    op, body, code = talk.answered(frame)
    if is_event(frame) or op != jute.GET_DATA or code != jute.OK:
        return [frame]
    older = talk.older.setdefault(body, [])
    older.append(frame[16:])
    if len(older) > STALE_REPLIES:
        return [frame[:16] + older.pop(0)] if talk.now() else [frame]
    return [frame]


def wrong_number(talk, frame):
    """A sequential node's name with another number than it has."""
    op, body, code = talk.answered(frame)
    if is_event(frame) or op != jute.CREATE2 or code != jute.OK or body[-4:] != SEQUENTIAL_FLAG:
        return [frame]
    end = 20 + struct.unpack_from(">i", frame, 16)[0]
    if not talk.now():
        return [frame]
    digit = b"%d" % ((int(frame[end - 1 : end]) + 1) % 10)
    return [frame[: end - 1] + digit + frame[end:]]


SEQUENTIAL_FLAG = struct.pack(">i", jute.SEQUENTIAL)


def missing_node(talk, frame):
    """An exists says that there is nothing."""
    op, _, code = talk.answered(frame)
    if is_event(frame) or op != jute.EXISTS or code != jute.OK or not talk.now():
        return [frame]
    return [frame[:12] + struct.pack(">i", jute.NO_NODE)]


def half_seen(talk, frame):
    """A read of both sides shows one of them as it was before."""
    op, _, code = talk.answered(frame)
    if is_event(frame) or op != jute.MULTI_READ or code != jute.OK:
        return [frame]
    # Header, part header, length and data: the first side as a whole.
    length = struct.unpack_from(">i", frame, 25)[0]
    cut = 29 + length + jute.STAT.size
    before, talk.kept = talk.kept, [frame[16:cut]]
    return [frame[:16] + before[0] + frame[cut:]] if before and talk.now() else [frame]


def back_in_time(talk, frame):
    """A reply carries a zxid below the one before it."""
    xid, zxid, code = jute.REPLY_HEADER.unpack_from(frame)
    if xid < jute.FIRST_XID_OF_ITS_OWN or not talk.now():
        return [frame]
    return [jute.REPLY_HEADER.pack(xid, zxid - 1000, code) + frame[16:]]


# Each lie, and the check that must find it.
LIES = {
    "lost-event": (lost_event, "watch"),
    "doubled-event": (doubled_event, "watch"),
    "late-event": (late_event, "watch"),
    "stale-data": (stale_data, "register"),
    "wrong-number": (wrong_number, "sequence"),
    "missing-node": (missing_node, "ephemeral"),
    "half-seen": (half_seen, "transfer"),
    "back-in-time": (back_in_time, "session"),
}
