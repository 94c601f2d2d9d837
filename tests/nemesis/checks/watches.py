"""Watches: no event lost, doubled or out of zxid order, and every event before
the reply that shows its change.

`changes` are the writers': those of children have paths of their own, so each
may be told once a connection; those of data are counted by the version."""

from bisect import bisect_right

from history import Violation
from jute import CHILDREN_CHANGED, CREATED, DATA_CHANGED, DELETED
from checks.sessions import near

KINDS = {CREATED: "created", DELETED: "deleted", DATA_CHANGED: "data", CHILDREN_CHANGED: "children"}


class Changes:
    """What is known to have happened, by path and by zxid."""

    def __init__(self, changes):
        self.of = {(c.kind, c.path): c for c in changes if c.kind != DATA_CHANGED}
        known = [c for c in self.of.values() if c.zxid is not None]
        self.known = sorted(known, key=lambda change: change.zxid)
        self.zxids = [change.zxid for change in self.known]


def check_recursive(name, heard, changes):
    """One persistent recursive watch over all changes."""
    watch = Recursive(name, heard, changes)
    for place, entry in enumerate(heard):
        watch.take(place, entry)
    return watch.found


class Recursive:
    def __init__(self, name, heard, changes):
        self.name, self.heard, self.changes = name, heard, changes
        self.found = []
        self.break_off()

    def break_off(self):
        """The connection is gone: events until the next one are missed."""
        self.covered = False
        self.told = set()
        self.last_event = self.last_reply = 0
        self.next_known = 0
        self.data_told, self.version = {}, {}

    def blame(self, place, says):
        self.found.append(Violation("watch", f"{self.name}: {says}", near(self.heard, place)))

    def take(self, place, entry):
        what = entry[0]
        if what in ("connected", "expired"):
            self.break_off()
        elif what == "watching":
            self.cover(entry[2])
        elif what == "armed":
            self.cover(self.last_reply)
        elif what == "event":
            self.take_event(place, *entry[2:])
        elif what == "reply":
            self.take_reply(place, entry[2])
        elif what == "version":
            self.take_version(place, *entry[2:4])

    def cover(self, zxid):
        self.covered = True
        self.next_known = bisect_right(self.changes.zxids, zxid)

    def take_event(self, place, header_zxid, kind, path):
        if kind == DATA_CHANGED:
            self.data_told[path] = self.data_told.get(path, 0) + 1
            zxid = header_zxid
        elif kind == CHILDREN_CHANGED:
            self.blame(place, f"a recursive watch was told children-changed of {path}")
            return
        else:
            zxid = self.take_unique(place, header_zxid, kind, path)
        # The original's older versions give no zxid with an event.
        if zxid is None or zxid <= 0:
            return
        if zxid < self.last_event:
            self.blame(place, f"{KINDS[kind]} {path} of {zxid:#x} after {self.last_event:#x}")
        if self.covered and zxid <= self.last_reply:
            reply = f"a reply of {self.last_reply:#x}"
            self.blame(place, f"{KINDS[kind]} {path} of {zxid:#x} only after {reply}")
        self.last_event = max(self.last_event, zxid)

    def take_unique(self, place, header_zxid, kind, path):
        if (kind, path) in self.told:
            self.blame(place, f"{KINDS[kind]} {path} told twice")
        self.told.add((kind, path))
        change = self.changes.of.get((kind, path))
        if change is None:
            self.blame(place, f"{KINDS[kind]} {path} told, which nobody did")
            return None
        if header_zxid > 0 and change.zxid is not None and header_zxid != change.zxid:
            self.blame(place, f"{KINDS[kind]} {path} told with {header_zxid:#x}: {change}")
        return change.zxid if header_zxid <= 0 else header_zxid

    def take_reply(self, place, zxid):
        known = self.changes.known
        while self.covered and self.next_known < len(known):
            change = known[self.next_known]
            if change.zxid > zxid:
                break
            if (change.kind, change.path) not in self.told:
                says = f"{KINDS[change.kind]} {change.path} of {change.zxid:#x} not told before"
                self.blame(place, f"{says} a reply of {zxid:#x}")
            self.next_known += 1
        self.last_reply = max(self.last_reply, zxid)

    def take_version(self, place, path, version):
        told = self.data_told.pop(path, 0)
        before = self.version.get(path)
        self.version[path] = version
        if self.covered and before is not None and version - before != told:
            says = f"{path} went from version {before} to {version}, told {told} times"
            self.blame(place, says)


class Order:
    """Events of one connection among its replies, where they carry a zxid."""

    def __init__(self):
        self.is_live, self.event, self.reply = False, 0, 0

    def take(self, entry):
        what = entry[0]
        if what in ("connected", "expired"):
            # What was missed is told first, whatever its zxid.
            self.is_live, self.event, self.reply = False, 0, 0
        elif what in ("set", "armed"):
            self.is_live = True
        elif what == "reply":
            self.reply = max(self.reply, entry[2])
        elif what == "event" and entry[2] > 0 and self.is_live:
            zxid = entry[2]
            if zxid < self.event:
                yield f"an event of {zxid:#x} after one of {self.event:#x}"
            if zxid <= self.reply:
                yield f"an event of {zxid:#x} only after a reply of {self.reply:#x}"
            self.event = max(self.event, zxid)


def check_once(name, heard):
    """Data and child watches that tell once. They outlive the connection: the
    next one tells what was missed."""
    found, set_at, told = [], {}, set()
    order = Order()

    def blame(place, says):
        found.append(Violation("watch", f"{name}: {says}", near(heard, place)))

    for place, entry in enumerate(heard):
        what = entry[0]
        for says in order.take(entry):
            blame(place, says)
        if what == "expired":
            set_at, told = {}, set()
        elif what == "event":
            kind, path = entry[3:]
            # Two watches of one client never lie on the same path.
            watch = "data" if kind == DATA_CHANGED else "child"
            if (watch, path) not in set_at:
                blame(place, f"{KINDS[kind]} {path} told, where no watch was set")
            elif (watch, path) in told:
                blame(place, f"{KINDS[kind]} {path} told twice")
            told.add((watch, path))
        elif what in ("read", "set"):
            _, _, watch, path, zxid = entry
            before = set_at.get((watch, path))
            if before is not None:
                is_told = (watch, path) in told
                if zxid != before and not is_told:
                    blame(place, f"{path} ({watch}) of {zxid:#x} shown, its event not told")
                if zxid == before and is_told:
                    blame(place, f"{path} ({watch}) told, but still of {zxid:#x}")
            if what == "set":
                set_at[watch, path] = zxid
                told.discard((watch, path))
    return found
