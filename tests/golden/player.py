"""Plays a script against servers and writes down, line by line, what came back
and what became of the connections.

A script's lines (`#` starts a comment, `~` is a folder of the script's own):

  connect C [node=2] [timeout=MS] [session=D|0xHEX] [password=D|zeros|hex:..|none]
            [seen=0|now|future] [version=N] [readonly=0|1|absent] [length=N]
  open C [node=2]                 a socket, and nothing said
  C OP WORDS...                   a request; its reply is awaited
  C! OP WORDS...                  a request; its reply is awaited by `C answers N`
  C request CODE PIECES...        any opcode, any body (pieces: see words.py)
  C frame PIECES... | C send PIECES...    with and without the length in front
  C handshake                     awaits the answer to a spelled-out handshake
  C answers N | C hears N [within=S]      awaits N replies | N events
  C quiet                         prints what came before the answer to a ping
  C rest | C rest keys            the text until the connection ends | its first words
  C has WORD...                   which of these words the text until the end holds
  C lists PATH NAME...            which of these names are children of a node
  C ends | C fate                 awaits the end | tells whether it is still served
  C halfcloses | C drops          says that it sends no more | closes
"""

import secrets
import select
import shlex
import socket
import time

import jute
import words as spelled
from jute import OPS, Reader, boolean, buffer, number
from replies import WRITES, Short, Symbols, answer, connected, error, event
from words import Wrong

# A server that has not answered by then will not.
ANSWER_SECONDS = 10
# So long nothing comes before a connection is called silent.
SILENT_SECONDS = 1.5
SUPER = ["digest", "super:test"]


class Ended(Exception):
    """The other side has closed, or reset, the connection."""


class Connection:
    def __init__(self, name, address, timeout=ANSWER_SECONDS):
        host, _, port = address.rpartition(":")
        self.name, self.address = name, address
        self.socket = socket.create_connection((host, int(port)), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.bytes, self.xid, self.waiting = b"", 0, []
        self.session, self.password, self.timeout = 0, b"", 0
        self.zxid_seen = 0
        # Once it has not answered, it is not waited for that long again.
        self.is_mute = False

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            # What became of the connection is told by the next read.
            pass

    def receive(self, seconds):
        """Some bytes more, or False when none came in time."""
        if not select.select([self.socket], [], [], max(seconds, 0))[0]:
            return False
        try:
            piece = self.socket.recv(1 << 16)
        except ConnectionResetError:
            raise Ended("reset") from None
        if not piece:
            raise Ended("closed")
        self.bytes += piece
        return True

    def frame(self, seconds=ANSWER_SECONDS):
        """The next whole frame, or None when none came in time."""
        deadline = time.monotonic() + seconds
        while True:
            if len(self.bytes) >= 4:
                length = int.from_bytes(self.bytes[:4], "big", signed=True)
                if not 0 <= length <= jute.FRAME_BYTES_MAX:
                    raise Ended(f"answered with a frame of {length} bytes")
                if len(self.bytes) >= 4 + length:
                    found, self.bytes = self.bytes[4 : 4 + length], self.bytes[4 + length :]
                    return found
            if not self.receive(deadline - time.monotonic()):
                return None

    def ask(self, op, code, body):
        self.xid += 1
        xid = spelled.XIDS.get(op, self.xid)
        self.waiting.append((xid, op))
        self.send(jute.frame(number("i", xid) + number("i", code) + body))


class Player:
    def __init__(self, addresses):
        self.addresses = addresses
        self.prefix = "/golden-" + secrets.token_hex(4)
        self.symbols = Symbols(self.prefix)
        self.connections, self.lines = {}, []

    def play(self, text):
        self.clean_up(is_start=True)
        try:
            for line in text.splitlines():
                if line.strip() and not line.startswith("#"):
                    self.lines.append(f"> {line}")
                    self.step(line.replace("~", self.prefix))
        finally:
            for connection in self.connections.values():
                connection.socket.close()
            self.clean_up(is_start=False)
        return "\n".join(self.lines) + "\n"

    def say(self, connection, what):
        self.lines.append(f"  {connection.name} {what}")

    def step(self, line):
        first, *words = shlex.split(line)
        if first in ("connect", "open"):
            self.open(first, words)
            return
        connection = self.connections.get(first.rstrip("!"))
        if connection is None:
            raise Wrong(f"no connection in {line!r}")
        try:
            self.act(connection, first.endswith("!"), words[0], words[1:])
        except Ended as how:
            self.say(connection, str(how))
        except Short as why:
            self.say(connection, f"a frame too short: {why}")

    def open(self, first, words):
        plain, named = spelled.arguments(words)
        node = int(named.get("node", 1)) - 1
        connection = Connection(plain[0], self.addresses[node % len(self.addresses)])
        self.connections[plain[0]] = connection
        if first == "connect":
            connection.send(self.handshake(named))
            try:
                self.hear_handshake(connection)
            except Ended as how:
                self.say(connection, str(how))
            except Short as why:
                self.say(connection, f"a frame too short: {why}")

    def handshake(self, named):
        session, password = named.get("session", "0"), named.get("password", "zeros")
        known = self.connections
        if session in known:
            password = named.get("password", session)
            session = known[session].session
        else:
            session = int(session, 0)
        if password in known:
            secret = known[password].password
        elif password == "none":
            secret = None
        else:
            secret = bytes.fromhex(password[4:]) if password.startswith("hex:") else b"\0" * 16
        seen = named.get("seen", "0")
        seen = 1 << 62 if seen == "future" else self.zxid(seen)
        fields = number("i", int(named.get("version", 0))) + number("q", seen)
        fields += number("i", int(named.get("timeout", 10000))) + number("q", session)
        fields += buffer(secret)
        if named.get("readonly", "0") != "absent":
            fields += boolean(named.get("readonly") == "1")
        length = int(named.get("length", len(fields)))
        return number("i", length) + fields

    def newest(self):
        return max((c.zxid_seen for c in self.connections.values()), default=0)

    def zxid(self, word):
        if word == "now":
            return self.newest()
        return self.symbols.values[word] if word in self.symbols.values else int(word, 0)

    def hear_handshake(self, connection):
        frame = connection.frame()
        if frame is None:
            self.say(connection, "silent")
            return
        said, session, password, timeout = connected(self.symbols, frame)
        connection.session, connection.password, connection.timeout = session, password, timeout
        self.say(connection, said)

    def act(self, connection, is_pipelined, what, words):
        match what:
            case "frame":
                connection.send(jute.frame(spelled.pieces(words)))
            case "send":
                connection.send(spelled.pieces(words))
            case "handshake":
                self.hear_handshake(connection)
            case "answers":
                for _ in range(int(words[0])):
                    self.hear_answer(connection)
            case "hears":
                self.hear_events(connection, words)
            case "quiet":
                connection.ask("ping", OPS["ping"], b"")
                self.hear_answer(connection)
            case "rest" | "has":
                self.hear_rest(connection, what, words)
            case "lists":
                self.hear_names(connection, words[0], words[1:])
            case "ends":
                self.hear_end(connection)
            case "fate":
                self.tell_fate(connection)
            case "halfcloses":
                connection.socket.shutdown(socket.SHUT_WR)
            case "drops":
                connection.socket.close()
            case "request":
                connection.ask("?", int(words[0]), spelled.pieces(words[1:]))
                if not is_pipelined:
                    self.hear_answer(connection)
            case _:
                body = spelled.body(what, words, self.zxid)
                connection.ask(what, OPS[what], body)
                if not is_pipelined:
                    self.hear_answer(connection)

    def hear_answer(self, connection):
        """Prints what comes, up to the next reply."""
        while True:
            frame = connection.frame(SILENT_SECONDS if connection.is_mute else ANSWER_SECONDS)
            connection.is_mute = frame is None
            if frame is None:
                self.say(connection, "silent")
                return
            if self.hear(connection, frame):
                return

    def hear(self, connection, frame):
        """Prints one frame; whether it was a reply."""
        reader = Reader(frame)
        try:
            xid, zxid, code = reader.number("i"), reader.number("q"), reader.number("i")
            if xid == -1:
                self.say(connection, event(self.symbols, zxid, reader))
                return False
            self.say(connection, self.reply(connection, xid, zxid, code, reader))
        except Short as why:
            self.say(connection, f"a frame too short: {why}: {frame.hex()}")
        return True

    def reply(self, connection, xid, zxid, code, reader):
        wanted, op = connection.waiting.pop(0) if connection.waiting else (None, "?")
        said = f"{op} {'ok' if code == 0 else error(code)}"
        if xid != wanted:
            said += f" xid={xid} instead of {wanted}"
        if zxid in (0, -1):
            said += f" zxid={zxid}"
        elif op in WRITES and code == 0 and not failed_multi(op, reader):
            said += f" zxid={self.symbols.of('z', zxid)}"
        elif zxid < connection.zxid_seen:
            said += " zxid went back"
        connection.zxid_seen = max(connection.zxid_seen, zxid)
        # A multi that failed tells which part; nothing else has a body then.
        has_body = code == 0 or (op == "multi" and reader.left())
        body = answer(self.symbols, op, None, reader) if has_body else ""
        if not has_body and reader.left():
            body = f"and {reader.left()} bytes more"
        return f"{said} {body}".rstrip()

    def hear_events(self, connection, words):
        plain, named = spelled.arguments(words)
        deadline = time.monotonic() + float(named.get("within", ANSWER_SECONDS))
        heard = 0
        while heard < int(plain[0]):
            # A session is kept alive while it waits.
            frame = connection.frame(min(1, deadline - time.monotonic()))
            if frame is not None:
                self.hear(connection, frame)
                heard += 1
            elif time.monotonic() >= deadline:
                self.say(connection, "hears nothing")
                return
            else:
                connection.send(jute.frame(number("i", -2) + number("i", OPS["ping"])))
                pong = connection.frame()
                while pong is not None and int.from_bytes(pong[:4], "big", signed=True) != -2:
                    self.hear(connection, pong)
                    heard += 1
                    pong = connection.frame()

    def hear_rest(self, connection, what, words):
        try:
            while connection.receive(ANSWER_SECONDS):
                pass
            how = "silent"
        except Ended as ended:
            how = str(ended)
        lines = connection.bytes.decode("utf-8", "backslashreplace").splitlines()
        connection.bytes = b""
        if what == "has":
            keys = {line.split("\t")[0].split("=")[0].split(":")[0].strip() for line in lines}
            for word in words:
                self.say(connection, f"{'has' if word in keys else 'lacks'} {word}")
        elif words == ["keys"]:
            for line in lines:
                self.say(connection, "says " + line.split("\t")[0].split("=")[0].split(":")[0].strip())
        else:
            for line in lines:
                self.say(connection, f"says {line}")
        self.say(connection, how)

    def hear_names(self, connection, path, names):
        connection.ask("ls", OPS["ls"], jute.string(path) + boolean(False))
        connection.waiting.clear()
        reader = Reader(connection.frame() or b"\xff" * 16)
        reader.take(12)
        code = reader.number("i")
        found = (reader.vector(reader.string) or []) if code == 0 else [error(code)]
        for name in names:
            self.say(connection, f"{'lists' if name in found else 'lacks'} {name}")

    def hear_end(self, connection):
        while (frame := connection.frame()) is not None:
            self.hear(connection, frame)
        self.say(connection, "kept")

    def tell_fate(self, connection):
        # A server that has done with a connection answers nothing more on it.
        if connection.session:
            connection.ask("ping", OPS["ping"], b"")
            self.hear_answer(connection)
            return
        deadline = time.monotonic() + SILENT_SECONDS
        while (frame := connection.frame(deadline - time.monotonic())) is not None:
            self.hear(connection, frame)
        self.say(connection, "kept, silent")

    def clean_up(self, is_start):
        """Makes the script's folder, or removes it as the superuser."""
        keeper = Player.__new__(Player)
        keeper.addresses, keeper.symbols = self.addresses, Symbols(self.prefix)
        keeper.connections, keeper.lines = {}, []
        keeper.step("connect k")
        keeper.step("k auth " + " ".join(SUPER))
        connection = keeper.connections["k"]
        if is_start:
            keeper.step(f"k create {self.prefix} folder")
            if " ok " not in keeper.lines[-1]:
                raise Wrong(f"no folder for the script: {keeper.lines}")
        else:
            keeper.step("k sync /")
            remove(connection, self.prefix)
        keeper.step("k close")
        connection.socket.close()


def failed_multi(op, reader):
    """Whether its first part is an error: then it made no transaction."""
    return op == "multi" and int.from_bytes(reader.payload[16:20], "big", signed=True) == -1 and (
        reader.payload[20:21] == b"\0"
    )


def remove(connection, path):
    connection.ask("ls", OPS["ls"], jute.string(path) + boolean(False))
    connection.waiting.clear()
    reader = Reader(connection.frame() or b"")
    reader.take(12)
    if reader.number("i") == 0:
        for name in reader.vector(reader.string):
            remove(connection, f"{path}/{name}")
    connection.ask("delete", OPS["delete"], jute.string(path) + number("i", -1))
    connection.waiting.clear()
    connection.frame()
