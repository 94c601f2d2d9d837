"""Watches: writers that change, each in a subtree of its own, and watchers
that write down every event, reply and read in the order in which they came."""

import time
from dataclasses import dataclass

import jute
from client import Refused
from history import NEVER
from work.load import SYNC, Client

WATCHED = "/watched"
WRITERS = ("ada", "bob")
# Children of one writer at a time.
CHILDREN_MAX = 12


@dataclass(slots=True)
class Change:
    """One change; paths of children are never used twice."""

    kind: int
    path: str
    began: float
    ended: float = NEVER
    zxid: int | None = None


class Writer(Client):
    def __init__(self, *args):
        super().__init__(*args)
        self.home = f"{WATCHED}/{self.name}"
        self.changes = []
        self.children = []

    def turn(self):
        die = self.dice.randrange(3)
        if die == 0:
            body = jute.set_data(f"{self.home}/data", self.unique().encode(), jute.ANY_VERSION)
            reader = self.change(jute.DATA_CHANGED, f"{self.home}/data", jute.SET_DATA, body)
            self.changes[-1].zxid = reader.stat().mzxid
        elif die == 1 and len(self.children) < CHILDREN_MAX or not self.children:
            path = f"{self.home}/{self.unique()}"
            body = jute.create(path, b"", jute.PERSISTENT)
            reader = self.change(jute.CREATED, path, jute.CREATE2, body)
            reader.text()
            self.changes[-1].zxid = reader.stat().czxid
            self.children.append(path)
        else:
            # Given up before it is asked: one that is not answered may be gone.
            path = self.children.pop(self.dice.randrange(len(self.children)))
            body = jute.versioned(path, jute.ANY_VERSION)
            self.change(jute.DELETED, path, jute.DELETE, body)

    def change(self, kind, path, op, body):
        change = Change(kind, path, time.monotonic())
        self.changes.append(change)
        try:
            ((zxid, reader),) = self.ask((op, body))
        except Refused as refused:
            raise AssertionError(f"{change}: refused with {refused.code}") from refused
        change.ended = time.monotonic()
        change.zxid = zxid
        return reader


class RecursiveWatcher(Client):
    """One persistent recursive watch over all writers."""

    def connected(self):
        if not self.session.recursive:
            body = jute.add_watch(WATCHED, jute.PERSISTENT_RECURSIVE)
            ((zxid, _),) = self.ask((jute.ADD_WATCH, body))
            self.session.recursive.add(WATCHED)
            self.heard.append(("watching", time.monotonic(), zxid))

    def turn(self):
        path = f"{WATCHED}/{self.dice.choice(WRITERS)}/data"
        _, (_, reader) = self.ask(SYNC, (jute.GET_DATA, jute.watched(path)))
        reader.buffer()
        stat = reader.stat()
        self.heard.append(("version", time.monotonic(), path, stat.version, stat.mzxid))


class OnceWatcher(Client):
    """Data and child watches that tell once, set again after each event."""

    def turn(self):
        writer = f"{WATCHED}/{self.dice.choice(WRITERS)}"
        if self.dice.randrange(2):
            self.look("data", f"{writer}/data", jute.GET_DATA, self.session.data)
        else:
            self.look("child", writer, jute.GET_CHILDREN2, self.session.child)

    def look(self, kind, path, op, watched):
        """Reads, and sets the watch where none is."""
        sets = path not in watched
        ((_, reader),) = self.ask((op, jute.watched(path, watch=sets)))
        if kind == "data":
            reader.buffer()
            shown = reader.stat().mzxid
        else:
            reader.texts()
            shown = reader.stat().pzxid
        if sets:
            watched.add(path)
        self.heard.append(("set" if sets else "read", time.monotonic(), kind, path, shown))
