"""A session never goes back in time, whichever servers it meets."""

from history import Violation

STORY_LINES = 40


def check(name, heard):
    newest, shown = 0, {}
    for place, entry in enumerate(heard):
        what = entry[0]
        if what == "expired":
            newest, shown = 0, {}
        elif what == "reply":
            zxid = entry[2]
            if zxid < newest:
                says = f"{name}: a reply of zxid {zxid:#x} after one of {newest:#x}"
                return [Violation("session", says, near(heard, place))]
            newest = zxid
        elif what in ("read", "set"):
            _, _, kind, path, zxid = entry
            before = shown.get((kind, path), 0)
            if zxid < before:
                says = f"{name}: {path} ({kind}) shown as of {zxid:#x}, before as of {before:#x}"
                return [Violation("session", says, near(heard, place))]
            shown[kind, path] = zxid
    return []


def near(heard, place):
    return [list(entry) for entry in heard[max(0, place - STORY_LINES) : place + 3]]
