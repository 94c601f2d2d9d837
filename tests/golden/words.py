"""The words of a script turned into request bodies."""

import jute
from jute import FLAGS, OPS, boolean, buffer, number, string, vector

OPEN = "world:anyone:rwcda"
# Fixed by the protocol: what answers them is known by these.
XIDS = {"ping": -2, "auth": -4, "setwatches": -8, "setwatches2": -8}
WATCH_MODES = {"persistent": 0, "recursive": 1}
WATCHER_TYPES = {"children": 1, "data": 2, "any": 3, "persistent": 4, "recursive": 5}


class Wrong(Exception):
    """A script that cannot be played."""


def arguments(words):
    """`a b v=1` as the positions and the named ones; a bare flag is named too."""
    plain, named = [], {}
    for word in words:
        key, is_named, value = word.partition("=")
        if is_named and key.isalpha():
            named[key] = value
        elif word in ("watch",):
            named[word] = "1"
        else:
            plain.append(word)
    return plain, named


def data(word):
    """`-` is no buffer at all; `1000*x` repeats."""
    if word == "-":
        return None
    count, star, rest = word.partition("*")
    if star and count.isdigit():
        return rest.encode() * int(count)
    return word.encode("utf-8", "surrogateescape")


def flags(word):
    return FLAGS[word] if word in FLAGS else int(word)


def split(words):
    """The operations of a multi, parted by `;`."""
    parts, part = [], []
    for word in [*words, ";"]:
        if word == ";":
            if part:
                parts.append(part)
            part = []
        else:
            part.append(word)
    return parts


def body(op, words, zxid):
    """The body of a request; `zxid` turns a symbol into its value."""
    plain, named = arguments(words)
    path = string(plain[0]) if plain else b""
    version = number("i", int(named.get("v", -1)))
    match op:
        case "create" | "create2" | "createcontainer" | "createttl":
            default = {"createcontainer": "container", "createttl": "ttl"}.get(op, "persistent")
            fields = path + buffer(data(plain[1] if len(plain) > 1 else ""))
            fields += jute.acl(named.get("acl", OPEN))
            fields += number("i", flags(named.get("flags", default)))
            return fields + (number("q", int(named["ttl"])) if op == "createttl" else b"")
        case "delete" | "check":
            return path + version
        case "exists" | "get" | "ls" | "ls2":
            return path + boolean("watch" in named)
        case "set":
            return path + buffer(data(plain[1])) + version
        case "setacl":
            return path + jute.acl(plain[1]) + version
        case "getacl" | "sync" | "ephemerals" | "count" | "deletecontainer":
            return path
        case "ping" | "close" | "whoami":
            return b""
        case "addwatch":
            return path + number("i", _named(WATCH_MODES, plain[1]))
        case "removewatches" | "checkwatches":
            return path + number("i", _named(WATCHER_TYPES, plain[1]))
        case "auth":
            return number("i", 0) + string(plain[0]) + buffer(data(plain[1]))
        case "sasl":
            return buffer(data(plain[0]))
        case "setwatches" | "setwatches2":
            kinds = ["data", "exist", "child"]
            kinds += ["persistent", "recursive"] if op == "setwatches2" else []
            lists = [list(filter(None, named.get(kind, "").split(","))) for kind in kinds]
            return number("q", zxid(named["since"])) + b"".join(
                vector([string(path) for path in paths]) for paths in lists
            )
        case "reconfig":
            fields = [named.get(key) for key in ("joining", "leaving", "members")]
            return b"".join(map(string, fields)) + number("q", zxid(named.get("from", "-1")))
        case "multi" | "multiread":
            parts = b"".join(
                multi_header(OPS[part[0]], False) + body(part[0], part[1:], zxid)
                for part in split(words)
            )
            return parts + multi_header(-1, True)
    raise Wrong(f"no request is called {op!r}")


def _named(table, word):
    return table[word] if word in table else int(word)


def multi_header(op, is_done):
    return number("i", op) + boolean(is_done) + number("i", -1)


def pieces(words):
    """Bytes spelled field by field: `int:5 str:/a null hex:00ff text:ruok`."""
    spelled = b""
    for word in words:
        kind, _, value = word.partition(":")
        match kind:
            case "int":
                spelled += number("i", int(value))
            case "long":
                spelled += number("q", int(value))
            case "bool" | "byte":
                spelled += bytes([int(value)])
            case "str":
                spelled += string(value)
            case "buf":
                spelled += buffer(data(value))
            case "null":
                spelled += number("i", -1)
            case "acl":
                spelled += jute.acl(value or OPEN)
            case "hex":
                spelled += bytes.fromhex(value)
            case "text":
                spelled += data(value)
            case _:
                raise Wrong(f"no piece is called {kind!r}")
    return spelled
