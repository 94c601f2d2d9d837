"""Before the load the nodes are given what it works on; after it, every node
is read."""

import time

import jute
from client import Refused
from cluster import POLL_SECONDS
from history import OK, Op
from verdict import Final
from work.ephemerals import HOME, Owner
from work.load import SYNC, Client
from work.registers import CAS, REGISTERS, Filler, value_of
from work.sequences import QUEUE
from work.transfers import LEFT, RIGHT, SUM, balance
from work.watches import WATCHED, WRITERS

# Requests sent together when much is read.
TOGETHER = 200
# A session that was left open ends after its timeout, which begins anew with
# each leader.
EXPIRY_SECONDS = 30
READ_SECONDS = 30


class Reader(Client):
    """A client without a thread of its own, pinned to one node."""

    def __init__(self, load, name, node):
        super().__init__(load, name, node)
        self.session.call_seconds = READ_SECONDS
        self.session.connect(self.addresses[0])

    def read_many(self, paths):
        """Data and Stat of each."""
        found = {}
        for start in range(0, len(paths), TOGETHER):
            some = paths[start : start + TOGETHER]
            answers = self.ask(*((jute.GET_DATA, jute.watched(path)) for path in some))
            for path, (_, reader) in zip(some, answers):
                found[path] = (reader.buffer().decode(), reader.stat())
        return found

    def children(self, path):
        _, (_, reader) = self.ask(SYNC, (jute.GET_CHILDREN2, jute.watched(path)))
        return [f"{path}/{name}" for name in reader.texts()]


def prepare(load):
    reader = Reader(load, "prepare", 1)
    nodes = [(path, "") for path in (*REGISTERS, *CAS, QUEUE, HOME, WATCHED, Filler.PATH)]
    nodes += [("/bank", ""), (LEFT, str(SUM)), (RIGHT, "0")]
    for name in WRITERS:
        nodes += [(f"{WATCHED}/{name}", ""), (f"{WATCHED}/{name}/data", "")]
    for path, data in nodes:
        try:
            reader.ask((jute.CREATE2, jute.create(path, data.encode(), jute.PERSISTENT)))
        except Refused as refused:
            raise RuntimeError(f"cannot create {path}: {refused.code}") from refused
    reader.session.close()


def read_all(load):
    """What each node holds, now that nobody writes. Each is read behind a sync
    of its own."""
    final = Final()
    for node in load.addresses:
        reader = Reader(load, f"final-at-{node}", node)
        began = time.monotonic()
        reader.ask(SYNC)
        held = reader.read_many([*REGISTERS, *CAS, LEFT, RIGHT, Filler.PATH])
        for key in (*REGISTERS, *CAS):
            data, stat = held[key]
            op = Op(reader.name, "read", key, began, value_of(data.encode()))
            op.ended, op.outcome, op.version = time.monotonic(), OK, stat.version
            final.reads.append(op)
        held.update(reader.read_many(reader.children(QUEUE)))
        for name in WRITERS:
            held.update(reader.read_many(reader.children(f"{WATCHED}/{name}")))
        final.contents[node] = held
        final.balances.append(balance(reader))
        if load.of(Owner):
            final.ephemerals[node] = wait_for_expiry(reader)
        reader.session.close()
    return final


def wait_for_expiry(reader):
    """Gives the ephemerals left once every session had time to expire."""
    end = time.monotonic() + EXPIRY_SECONDS
    while (left := reader.children(HOME)) and time.monotonic() < end:
        reader.session.listen(POLL_SECONDS)
    return left


def all_answered_since(load, since):
    """Whether every client had an answer since then. Those that flood ask
    nothing now, and those that broke are told of by themselves."""
    alive = [client for client in load.clients if client.is_alive()]
    asking = [client for client in alive if not isinstance(client, Filler)]
    return all(client.answer_times and client.answer_times[-1] > since for client in asking)
