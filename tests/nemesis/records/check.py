"""What a history of the event log must hold. Pure: lines in, violations out. The
lines are those of work.py.

A record that was sent and not acknowledged may be there or not; a transaction
that was neither committed nor aborted to its client's knowledge may be either,
and is wholly one of them."""

from collections import defaultdict

from history import Violation

SOURCE, TARGET = "nemesis-source", "nemesis-target"
STORY_MAX = 20


def check(lines):
    seen = Seen(lines)
    return [
        *lost(seen),
        *doubled(seen),
        *disordered(seen),
        *invented(seen),
        *changed(seen),
        *unmoved(seen),
        *transactions(seen),
        *offsets(seen),
        *skipped(seen),
    ]


class Seen:
    def __init__(self, lines):
        self.lines = lines
        self.by = defaultdict(list)
        for line in lines:
            self.by[line["what"]].append(line)
        self.last = sorted(self.by["last"], key=place)
        self.source = [one for one in self.last if one["topic"] == SOURCE]
        self.target = [one for one in self.last if one["topic"] == TARGET]

    def figures(self):
        said = ("sent", "acked", "failed", "committed", "aborted", "stored", "handled", "read")
        return ", ".join(f"{len(self.by[what])} {what}" for what in said)


def place(line):
    return line["topic"], line["partition"], line["offset"]


def violation(check_, says, *story):
    return Violation(check_, says, list(story)[:STORY_MAX])


def lost(seen):
    """What was acknowledged stands where it was said to stand."""
    there = {(one["partition"], one["offset"]): one for one in seen.source}
    for acked in seen.by["acked"]:
        at = acked["partition"], acked["offset"]
        found = there.get(at)
        if found is None or found["value"] != acked["value"]:
            says = f"{acked['value']} was acknowledged at {at}, there is {found and found['value']}"
            yield violation("lost", says, acked, found)


def doubled(seen):
    for lines in (seen.source, seen.target):
        first = {}
        for one in lines:
            other = first.setdefault(one["value"], one)
            if other is not one:
                yield violation("doubled", f"{one['value']} stands at {place(other)} and {place(one)}", other, one)


def disordered(seen):
    """A writer's numbers rise along a partition."""
    newest = {}
    for one in seen.source:
        who, number = numbered(one["value"])
        key = one["partition"], who
        before = newest.get(key)
        if before is not None and numbered(before["value"])[1] > number:
            yield violation("disordered", f"{one['value']} stands behind {before['value']}", before, one)
        newest[key] = one


def numbered(value):
    who, _, number = value.rpartition("/")
    return who, int(number)


def invented(seen):
    sent = {one["value"]: one["partition"] for one in seen.by["sent"]}
    for one in seen.last:
        if sent.get(one["value"]) != one["partition"]:
            yield violation("invented", f"nobody sent {one['value']} to partition {one['partition']}", one)


def changed(seen):
    """What somebody read is there at the end: a reader sees nothing that can go."""
    there = {place(one): one for one in seen.last}
    for one in seen.by["read"]:
        found = there.get(place(one))
        if found is None or (found["value"], found["txn"]) != (one["value"], one["txn"]):
            yield violation("changed", f"{one['value']} was read at {place(one)}, now {found and found['value']}", one, found)


def transactions(seen):
    """Aborted ones are seen by nobody, committed ones whole, others one or the
    other."""
    begun = {one["txn"]: one for one in seen.by["begun"]}
    committed = {one["txn"]: one for one in seen.by["committed"]}
    may_commit = {one["txn"] for one in seen.by["commits"]}
    shown = defaultdict(list)
    for one in seen.target:
        shown[one["txn"]].append(one["value"])
    for one in [*seen.by["read"], *seen.last]:
        if one["topic"] == TARGET and one["txn"] not in may_commit:
            yield violation("aborted-read", f"{one['value']} of {one['txn']}, which did not commit, was read", one)
    for txn, one in begun.items():
        values = shown.get(txn, [])
        is_short = sorted(values) != sorted(one["values"])
        if txn in committed and is_short:
            says = f"{txn} was committed, {len(values)} of its {len(one['values'])} records are there"
            yield violation("lost", says, one, committed[txn])
        elif values and is_short and len(values) < len(one["values"]):
            says = f"{len(values)} of the {len(one['values'])} records of {txn} are there"
            yield violation("half", says, one)


def unmoved(seen):
    """What stands before the movers' offsets has been moved."""
    kept = {one["partition"]: one["offset"] for one in seen.by["kept"] if one["group"] == "nemesis-movers"}
    moved = {one["value"] for one in seen.target}
    for one in seen.source:
        if one["offset"] < kept.get(one["partition"], 0) and one["value"] not in moved:
            yield violation("unmoved", f"{one['value']} at {place(one)} is behind the movers and not moved", one)


def offsets(seen):
    """A group's offsets go forward: what is stored after another was acknowledged
    is not below it, and the last stands at the end."""
    stored = [(one["group"], one["partition"], one["began"], one["at"], one["offset"], one) for one in seen.by["stored"]]
    for one in seen.by["committed"]:
        for partition, offset in one["offsets"].items():
            # It may have been stored at any time before its answer.
            stored.append(("nemesis-movers", int(partition), one["at"], one["at"], offset, one))
    for one in seen.by["kept"]:
        stored.append((one["group"], one["partition"], one["at"], one["at"], one["offset"], one))
    by_place = defaultdict(list)
    for one in stored:
        by_place[one[:2]].append(one[2:])
    for (group, partition), ones in by_place.items():
        yield from backward(group, partition, ones)


def backward(group, partition, ones):
    by_end = sorted(ones, key=lambda one: one[1])
    newest, at = None, 0
    for one in sorted(ones, key=lambda one: one[0]):
        while at < len(by_end) and by_end[at][1] < one[0]:
            if newest is None or by_end[at][2] > newest[2]:
                newest = by_end[at]
            at += 1
        if newest is not None and one[2] < newest[2]:
            says = f"{group} went back from {newest[2]} to {one[2]} in partition {partition}"
            yield violation("offsets-back", says, newest[3], one[3])


def skipped(seen):
    """What stands before a group's offset was handled by a member of it."""
    handled = {(one["partition"], one["offset"]) for one in seen.by["handled"]}
    kept = {one["partition"]: one["offset"] for one in seen.by["kept"] if one["group"] == "nemesis-readers"}
    for one in seen.source:
        at = one["partition"], one["offset"]
        if one["offset"] < kept.get(one["partition"], 0) and at not in handled:
            yield violation("skipped", f"the group went over {one['value']} at {at}", one)
