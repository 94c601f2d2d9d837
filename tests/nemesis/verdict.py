"""All checks over what one run wrote down, and its figures."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import pairwise

from checks import agreement, ephemerals, linear, sequences, sessions, transfers, watches
from history import OK, Op, Violation
from work.ephemerals import Observer, Owner
from work.registers import CAS, REGISTERS, CasClient, RegisterClient
from work.sequences import QUEUE, SequenceClient
from work.transfers import SUM, TransferClient
from work.watches import OnceWatcher, RecursiveWatcher, Writer


@dataclass
class Final:
    """What each node held at the end: path to data and Stat."""

    contents: dict = field(default_factory=dict)
    reads: list = field(default_factory=list)
    balances: list = field(default_factory=list)
    ephemerals: dict = field(default_factory=dict)


def figures(load, began, ended, done):
    """Operations, unanswered ones, the longest time without any answer, and
    the same by kind of fault, from its start to the next."""
    times = sorted(time for client in load.clients for time in client.answer_times)
    unanswered = sum(client.unanswered for client in load.clients)
    by_kind = {}
    ends = [*(start for _, start in done[1:]), ended]
    for (kind, start), end in zip(done, ends):
        by_kind[kind] = max(by_kind.get(kind, 0.0), gap(times, start, end))
    return len(times) + unanswered, unanswered, gap(times, began, ended), by_kind


def gap(times, began, ended):
    inside = times[bisect_left(times, began) : bisect_right(times, ended)]
    return max(after - before for before, after in pairwise([began, *inside, ended]))


def violations(load, final, judges_plain):
    found = [Violation("load", broken, []) for broken in load.broken]
    found += registers(load, final, judges_plain)
    for client in load.clients:
        found += sessions.check(client.name, client.heard)
    found += watched(load)
    found += sequential(load, final)
    lives = [life for owner in load.of(Owner) for life in owner.lives]
    found += ephemerals.check(lives, joined(load, Observer, "sights"))
    found += ephemerals.check_end(final.ephemerals)
    found += transferred(load, final)
    found += agreement.check(final.contents)
    return found


def joined(load, kind, what):
    return [each for client in load.of(kind) for each in getattr(client, what)]


def registers(load, final, judges_plain):
    ops = joined(load, RegisterClient, "ops") + final.reads
    if judges_plain:
        ops += map(as_op, joined(load, RegisterClient, "plain"))
    cases = [(key, ops, linear.Register) for key in REGISTERS]
    compared = joined(load, CasClient, "ops") + final.reads
    cases += [(key, compared, linear.Versioned) for key in CAS]
    for key, among, model in cases:
        found = linear.check([op for op in among if op.key == key], model)
        if found is not None:
            yield found


def as_op(read):
    times = {"began": read.began, "ended": read.ended}
    return Op("plain", "read", read.key, value=read.value, outcome=OK, **times)


def watched(load):
    changes = watches.Changes(joined(load, Writer, "changes"))
    for client in load.of(RecursiveWatcher):
        yield from watches.check_recursive(client.name, client.heard, changes)
    for client in load.of(OnceWatcher):
        yield from watches.check_once(client.name, client.heard)


def sequential(load, final):
    items = joined(load, SequenceClient, "items")
    for held in final.contents.values():
        queue = {path: data for path, (data, _) in held.items() if path.startswith(f"{QUEUE}/")}
        yield from sequences.check(items, queue)


def transferred(load, final):
    yield from transfers.check(joined(load, TransferClient, "balances") + final.balances, SUM)
    yield from transfers.check_halves(joined(load, TransferClient, "halves"))
    moved = sum(client.moved for client in load.of(TransferClient))
    in_doubt = sum(client.in_doubt for client in load.of(TransferClient))
    for end in final.balances[:1]:
        yield from transfers.check_end(end, moved, in_doubt)
