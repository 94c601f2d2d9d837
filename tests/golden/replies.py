"""Replies turned into lines. What differs from run to run becomes a symbol, in
the order it is first seen: z1 a transaction, s1 a session, p1 a password."""

import time

from jute import ERRORS, EVENTS, OPS, Reader, Short

# Clocks of the server and of the recorder may differ by this.
NOW_SECONDS = 30
NAMES = {code: name for name, code in OPS.items()}
# Their replies carry the transaction they made.
WRITES = {
    "create", "create2", "createcontainer", "createttl", "delete", "set", "setacl", "multi",
    "reconfig", "deletecontainer",
}  # fmt: skip


class Symbols:
    def __init__(self, prefix):
        self.prefix, self.names, self.values = prefix, {}, {}

    def of(self, letter, value):
        if value == 0 or value == b"\0" * 16:
            return "0" if letter != "p" else "zeros"
        if value == -1:
            return "-1"
        key = (letter, value)
        if key not in self.names:
            self.names[key] = f"{letter}{sum(name[0] == letter for name in self.names) + 1}"
            self.values[self.names[key]] = value
        return self.names[key]

    def time(self, millis):
        if millis == 0:
            return "0"
        return "now" if abs(millis / 1000 - time.time()) < NOW_SECONDS else "another time"

    def text(self, value):
        """A string or buffer as printed: our folder is `~`, long ones are counted."""
        if value is None:
            return "none"
        if isinstance(value, bytes):
            value = value.decode("utf-8", "backslashreplace")
        value = value.replace(self.prefix, "~")
        if len(value) > 200:
            value = f"{value[:20]}... {len(value)} long"
        return '"' + value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"') + '"'

    def stat(self, stat):
        shown = []
        for name, value in stat.items():
            if name.endswith("zxid"):
                value = self.of("z", value)
            elif name.endswith("time"):
                value = self.time(value)
            elif name == "owner":
                value = self.of("s", value)
            shown.append(f"{name}={value}")
        return "{" + " ".join(shown) + "}"


def connected(symbols, payload):
    reader = Reader(payload)
    version, timeout, session = reader.number("i"), reader.number("i"), reader.number("q")
    password = reader.buffer()
    readonly = reader.number("b") if reader.left() else "absent"
    said = f"connected version={version} timeout={timeout} session={symbols.of('s', session)} "
    said += f"password={symbols.of('p', password)} readonly={readonly}{trailing(reader)}"
    return said, session, password, timeout


def event(symbols, zxid, reader):
    kind, state, path = reader.number("i"), reader.number("i"), reader.string()
    said = f"event {EVENTS.get(kind, kind)} {symbols.text(path)} state={state}"
    return f"{said} zxid={symbols.of('z', zxid)}{trailing(reader)}"


def error(code):
    return ERRORS.get(code, str(code))


def answer(symbols, op, words, reader):
    """The body that a good reply to `op` has."""
    text = symbols.text
    match op:
        case "create":
            said = f"path={text(reader.string())}"
        case "create2" | "createcontainer" | "createttl":
            said = f"path={text(reader.string())} {symbols.stat(reader.stat())}"
        case "exists" | "set" | "setacl":
            said = symbols.stat(reader.stat())
        case "get":
            said = f"data={text(reader.buffer())} {symbols.stat(reader.stat())}"
        case "reconfig":
            reader.buffer()
            said = "a configuration"
            reader.stat()
        case "getacl":
            entries = reader.vector(reader.acl) or []
            said = f"acl={','.join(sorted(entries))} {symbols.stat(reader.stat())}"
        case "ls" | "ephemerals":
            said = f"[{' '.join(sorted(map(text, reader.vector(reader.string) or [])))}]"
        case "ls2":
            names = " ".join(sorted(map(text, reader.vector(reader.string) or [])))
            said = f"[{names}] {symbols.stat(reader.stat())}"
        case "addwatch":
            said = f"err={reader.number('i')}"
        case "sync":
            said = f"path={text(reader.string())}"
        case "count":
            said = f"number={reader.number('i')}"
        case "sasl":
            token = reader.buffer()
            said = "no token" if token is None else f"a token of {len(token)} bytes" if not token else "a token"
        case "whoami":
            found = reader.vector(lambda: f"{reader.string()}:{reader.string()}")
            said = f"[{' '.join(sorted(found or []))}]"
        case "multi" | "multiread":
            said = multi(symbols, reader)
        case _:
            said = ""
    return f"{said}{trailing(reader)}"


def multi(symbols, reader):
    results = []
    while True:
        op, is_done, err = reader.number("i"), reader.number("b"), reader.number("i")
        if is_done:
            return " | ".join(results) + f" | end type={op} err={err}"
        if op == -1:
            code = reader.number("i")
            results.append(f"error {code and error(code)} header={err and error(err)}")
        else:
            # A part's body ends where the next header starts.
            name = NAMES.get(op, str(op))
            part = answer_part(symbols, name, reader)
            results.append(f"{name} {part} header={err}".replace("  ", " "))


def answer_part(symbols, op, reader):
    text = symbols.text
    match op:
        case "create":
            return f"path={text(reader.string())}"
        case "create2":
            return f"path={text(reader.string())} {symbols.stat(reader.stat())}"
        case "set":
            return symbols.stat(reader.stat())
        case "get":
            return f"data={text(reader.buffer())} {symbols.stat(reader.stat())}"
        case "ls":
            return f"[{' '.join(sorted(map(text, reader.vector(reader.string) or [])))}]"
    return ""


def trailing(reader):
    return f" and {reader.left()} bytes more" if reader.left() else ""


__all__ = ["Reader", "Short", "Symbols", "WRITES", "answer", "connected", "error", "event"]
