#!/usr/bin/env python3
"""The checker against lies planted in an honest history: each must be found, and
nothing where there is none. Needs no server.

tests/nemesis/records/selftest.py [HISTORY]    of a run, in place of one made here"""

import copy
import json
import random
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]
sys.dont_write_bytecode = True

from records.check import SOURCE, TARGET, check

PARTITIONS = 2


def honest(seed):
    """Two writers, some unacknowledged; a mover with one transaction in three
    aborted and one unknown; a group that commits as it goes."""
    dice, lines, now = random.Random(seed), [], iter(range(1, 1 << 30))

    def note(what, who, **more):
        lines.append({"what": what, "who": who, "at": next(now), **more})

    logs = {partition: [] for partition in range(PARTITIONS)}
    for number in range(1, 200):
        who, partition = dice.choice(("a", "b")), dice.randrange(PARTITIONS)
        value = f"{who}/{number}"
        note("sent", who, value=value, partition=partition)
        if dice.randrange(10) > 0:
            note("acked", who, value=value, partition=partition, offset=len(logs[partition]))
        elif dice.randrange(2):
            continue
        logs[partition].append(value)
    last = []
    for partition, values in logs.items():
        for offset, value in enumerate(values):
            last.append((SOURCE, partition, offset, value, None))
        at, target = 0, 0
        for number in range(1, 1000):
            part = values[at : at + 5]
            if not part:
                break
            txn = f"m/{partition}-{number}"
            note("begun", "m", txn=txn, values=part, aborts=number % 3 == 0)
            if number % 3 == 0:
                note("aborted", "m", txn=txn)
                target += len(part) + 1
                continue
            note("commits", "m", txn=txn)
            at += len(part)
            if number % 7:
                note("committed", "m", txn=txn, offsets={str(partition): at})
            for value in part:
                last.append((TARGET, partition, target, value, txn))
                target += 1
            target += 1
        note("kept", "last", group="nemesis-movers", partition=partition, offset=at)
        for offset in range(len(values)):
            note("handled", "g", partition=partition, offset=offset)
            if offset % 10 == 9:
                began = next(now)
                note("stored", "g", group="nemesis-readers", began=began, partition=partition, offset=offset + 1)
        note("kept", "last", group="nemesis-readers", partition=partition, offset=len(values))
    for what in ("read", "last"):
        for topic, partition, offset, value, txn in last:
            note(what, what, topic=topic, partition=partition, offset=offset, value=value, txn=txn)
    return lines


def of(lines, what, **more):
    return [one for one in lines if one["what"] == what and all(one.get(k) == v for k, v in more.items())]


def lose(lines, dice):
    acked = dice.choice(of(lines, "acked"))
    for one in of(lines, "last", topic=SOURCE, value=acked["value"]):
        lines.remove(one)


def double(lines, dice):
    one = dice.choice(of(lines, "last", topic=SOURCE))
    end = max(x["offset"] for x in of(lines, "last", topic=SOURCE, partition=one["partition"]))
    lines.append({**one, "offset": end + 1})


def reorder(lines, dice):
    by_writer = {}
    for one in of(lines, "last", topic=SOURCE):
        by_writer.setdefault((one["partition"], one["value"].split("/")[0]), []).append(one)
    ones = dice.choice([ones for ones in by_writer.values() if len(ones) > 1])
    place = dice.randrange(len(ones) - 1)
    a, b = ones[place], ones[place + 1]
    a["value"], b["value"] = b["value"], a["value"]


def invent(lines, dice):
    dice.choice(of(lines, "last", topic=SOURCE))["value"] = "a/999999"


def read_aborted(lines, dice):
    txn = dice.choice(of(lines, "aborted"))["txn"]
    (begun,) = of(lines, "begun", txn=txn)
    model = dice.choice(of(lines, "read", topic=TARGET))
    lines.append({**model, "txn": txn, "value": begun["values"][0]})


def commit_half(lines, dice):
    whole = [one for one in of(lines, "begun") if not one["aborts"] and len(one["values"]) > 1]
    unknown = [one for one in whole if not of(lines, "committed", txn=one["txn"])]
    begun = dice.choice(unknown or whole)
    for one in of(lines, "committed", txn=begun["txn"]):
        lines.remove(one)
    lines.remove(of(lines, "last", topic=TARGET, txn=begun["txn"])[0])


def lose_committed(lines, dice):
    txn = dice.choice(of(lines, "committed"))["txn"]
    for one in of(lines, "last", topic=TARGET, txn=txn):
        lines.remove(one)


def go_back(lines, dice):
    one = dice.choice([one for one in of(lines, "stored") if one["offset"] > 1])
    later = max(line["at"] for line in lines)
    lines.append({**one, "offset": one["offset"] - 1, "began": later + 1, "at": later + 2})


def forget_offset(lines, dice):
    one = dice.choice([one for one in of(lines, "kept", group="nemesis-readers") if one["offset"] > 10])
    one["offset"] = 1


def read_and_gone(lines, dice):
    model = dice.choice(of(lines, "read", topic=SOURCE))
    lines.append({**model, "offset": 10_000_000})


def skip(lines, dice):
    kept = {one["partition"]: one["offset"] for one in of(lines, "kept", group="nemesis-readers")}
    behind = [one for one in of(lines, "handled") if one["offset"] < kept[one["partition"]]]
    chosen = dice.choice(behind)
    for one in of(lines, "handled", partition=chosen["partition"], offset=chosen["offset"]):
        lines.remove(one)


# What is planted, and the check that must find it.
LIES = {
    "an acknowledged record is gone": (lose, "lost"),
    "a record stands twice": (double, "doubled"),
    "two records of a writer have changed places": (reorder, "disordered"),
    "a record that nobody sent": (invent, "invented"),
    "an aborted record is read": (read_aborted, "aborted-read"),
    "half a transaction": (commit_half, "half"),
    "a committed transaction is gone": (lose_committed, "lost"),
    "a group's offset goes back": (go_back, "offsets-back"),
    "a group's offset is forgotten": (forget_offset, "offsets-back"),
    "what was read is gone": (read_and_gone, "changed"),
    "a record that the group went over": (skip, "skipped"),
}


def main():
    given = [json.loads(line) for line in open(sys.argv[1])] if len(sys.argv) > 1 else None
    wrong = 0
    for seed in range(1 if given else 20):
        lines = given or honest(seed)
        if found := check(lines):
            print(f"WRONG the honest history {seed} is blamed: {found[0].check}: {found[0].says}")
            wrong += 1
        for name, (plant, must_find) in LIES.items():
            planted = copy.deepcopy(lines)
            plant(planted, random.Random(f"{seed} {name}"))
            said = [one.says for one in check(planted) if one.check == must_find]
            if not said:
                wrong += 1
            if not said or seed == 0:
                print(f"{'ok' if said else 'WRONG':5} {seed} {name}: {said[0] if said else 'not found'}")
    sys.exit(1 if wrong else 0)


main()
