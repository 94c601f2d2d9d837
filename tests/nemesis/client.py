"""A session over a raw socket, with all it hears written down in the order in
which it came. It does nothing by itself: no thread, no retry, no cache."""

import select
import socket
import struct
import time

import jute

# What a session asks for; servers clamp it.
SESSION_MS = 6000
CALL_SECONDS = 4.0
CONNECT_SECONDS = 2.0
# Pings come well within a third of the timeout.
PINGS_PER_TIMEOUT = 4


class Lost(Exception):
    """No answer: whether the request took effect is not known."""


class Expired(Exception):
    """The session is over."""


class Refused(Exception):
    """The server's own error: the request had no effect."""

    def __init__(self, code, zxid):
        super().__init__(code)
        self.code, self.zxid = code, zxid


# Errors that do not say whether the request took effect.
UNCERTAIN = (jute.CONNECTION_LOSS, jute.OPERATION_TIMEOUT)


class Session:
    """`heard` is a list that the owner gives and reads: ("event", time, zxid,
    type, path), ("reply", time, zxid), ("connected", time), ("armed", time):
    all watches are set again, ("expired", time)."""

    def __init__(self, timeout_ms=SESSION_MS, call_seconds=CALL_SECONDS, heard=None):
        self.timeout_ms, self.call_seconds = timeout_ms, call_seconds
        self.heard = [] if heard is None else heard
        self.session, self.password = 0, bytes(16)
        self.last_zxid = 0
        self.socket = None
        self.unread = b""
        self.xid = 0
        self.sent_at = self.answered_at = 0.0
        self.negotiated_ms = timeout_ms
        # The watches to set again on the next connection.
        self.data, self.exist, self.child, self.recursive = set(), set(), set(), set()

    # -- the connection

    def connect(self, address):
        """Opens or takes up the session at this server."""
        self.drop()
        # A gathered password or an old reply belongs to the last connection.
        self.unread = b""
        patience = min(CONNECT_SECONDS, self.call_seconds)
        try:
            self.socket = socket.create_connection(address, timeout=patience)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            hello = jute.connect(self.last_zxid, self.timeout_ms, self.session, self.password)
            self.socket.sendall(struct.pack(">i", len(hello)) + hello)
            answer = jute.Reader(self._frame(time.monotonic() + patience))
        except (OSError, Lost) as error:
            self.drop()
            raise Lost(f"connect: {error}") from error
        _, timeout_ms, session = answer.unpack(struct.Struct(">iiq"))
        password = answer.buffer()
        now = time.monotonic()
        if timeout_ms <= 0 or session == 0:
            self.drop()
            self.forget(now)
            raise Expired
        self.session, self.password, self.negotiated_ms = session, password, timeout_ms
        self.sent_at = now
        self.heard.append(("connected", now))
        if self.data or self.exist or self.child or self.recursive:
            self._arm()

    def forget(self, now):
        """The session is over: the next connect opens a new one, with nothing
        of the old."""
        self.heard.append(("expired", now))
        self.session, self.password, self.last_zxid = 0, bytes(16), 0
        for watches in (self.data, self.exist, self.child, self.recursive):
            watches.clear()

    def drop(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def _arm(self):
        """Sets the watches again; what was missed is told before the answer."""
        lists = (self.data, self.exist, self.child, (), self.recursive)
        body = jute.set_watches2(self.last_zxid, *lists)
        self._send(jute.SET_WATCHES_XID, jute.SET_WATCHES2, body)
        _, code, _ = self._await(jute.SET_WATCHES_XID)
        if code != jute.OK:
            self.drop()
            raise Lost(f"watches refused: {code}")
        self.heard.append(("armed", time.monotonic()))

    # -- requests

    def call(self, op, body):
        """Answers with the reply's zxid and a reader of its body."""
        return self.calls([(op, body)])[0]

    def calls(self, requests):
        """Sends all, then reads all. The first refusal is raised once all are
        answered."""
        if self.socket is None:
            raise Lost("not connected")
        xids = []
        for op, body in requests:
            self.xid = max(self.xid + 1, jute.FIRST_XID_OF_ITS_OWN)
            xids.append(self.xid)
            self._send(self.xid, op, body)
        answers = [self._await(xid) for xid in xids]
        for zxid, code, _ in answers:
            if code == jute.SESSION_EXPIRED:
                self.drop()
                self.forget(time.monotonic())
                raise Expired
            if code in UNCERTAIN:
                raise Lost(f"error {code}")
            if code != jute.OK:
                raise Refused(code, zxid)
        return [(zxid, reader) for zxid, _, reader in answers]

    def listen(self, seconds):
        """Waits so long for events, and keeps the session alive meanwhile."""
        if self.socket is None:
            raise Lost("not connected")
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            if self._has_frame() or (left > 0 and self._is_readable(left)):
                self._note(self._frame(time.monotonic() + self.call_seconds))
            elif left <= 0:
                break
        self.keep_alive()

    def keep_alive(self):
        """Its answer is not waited for: a client whose server is paused must
        still be able to ask."""
        if time.monotonic() - self.sent_at > self.negotiated_ms / 1000 / PINGS_PER_TIMEOUT:
            self._send(jute.PING_XID, jute.PING, b"")

    def close(self):
        """Ends the session; gives the time at which the end was acknowledged."""
        self.call(jute.CLOSE, b"")
        now = time.monotonic()
        self.drop()
        self.forget(now)
        return now

    # -- frames

    def _send(self, xid, op, body):
        frame = struct.pack(">iii", len(body) + 8, xid, op) + body
        try:
            self.socket.sendall(frame)
        except OSError as error:
            self.drop()
            raise Lost(str(error)) from error
        self.sent_at = time.monotonic()

    def _await(self, xid):
        deadline = time.monotonic() + self.call_seconds
        while True:
            answer = self._note(self._frame(deadline))
            if answer is None:
                continue
            got, zxid, code, reader = answer
            if got == xid:
                return zxid, code, reader
            if got != jute.PING_XID:
                # Answers come in the order asked; another one is a server
                # that mixes them up, which no caller may take for its own.
                self.drop()
                raise AssertionError(f"asked {xid}, answered {got}")

    def _note(self, frame):
        """Writes a frame down. Gives an answer back, and None for an event."""
        now = time.monotonic()
        reader = jute.Reader(frame)
        xid, zxid, code = reader.unpack(jute.REPLY_HEADER)
        if xid == jute.EVENT_XID:
            kind, _state, path = reader.int(), reader.int(), reader.text()
            self._unset(kind, path)
            self.heard.append(("event", now, zxid, kind, path))
            return None
        self.heard.append(("reply", now, zxid))
        if zxid > 0:
            self.last_zxid = max(self.last_zxid, zxid)
        self.answered_at = now
        return xid, zxid, code, reader

    def _unset(self, kind, path):
        """A watch of the older sort is gone once it has told."""
        if kind in (jute.CREATED, jute.DELETED, jute.DATA_CHANGED):
            self.data.discard(path)
            self.exist.discard(path)
        if kind in (jute.CHILDREN_CHANGED, jute.DELETED):
            self.child.discard(path)

    def _has_frame(self):
        if len(self.unread) < 4:
            return False
        return len(self.unread) >= 4 + jute.INT.unpack_from(self.unread)[0]

    def _is_readable(self, seconds):
        return bool(select.select([self.socket], [], [], max(0.0, seconds))[0])

    def _frame(self, deadline):
        while not self._has_frame():
            if len(self.unread) >= 4:
                length = jute.INT.unpack_from(self.unread)[0]
                if not 0 <= length <= jute.FRAME_BYTES_MAX:
                    self.drop()
                    raise Lost(f"a frame of {length} bytes")
            try:
                if not self._is_readable(deadline - time.monotonic()):
                    raise OSError("no answer in time")
                more = self.socket.recv(65536)
                if not more:
                    raise OSError("closed")
            except OSError as error:
                self.drop()
                raise Lost(str(error)) from error
            self.unread += more
        end = 4 + jute.INT.unpack_from(self.unread)[0]
        frame, self.unread = self.unread[4:end], self.unread[end:]
        return frame


def four_letters(address, word, seconds=0.5):
    """A four-letter word's answer, or nothing."""
    said = b""
    try:
        with socket.create_connection(address, timeout=seconds) as door:
            door.settimeout(seconds)
            door.sendall(word.encode())
            while more := door.recv(65536):
                said += more
    except OSError:
        pass
    return said.decode(errors="replace")
