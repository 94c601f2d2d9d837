"""What is done to the nodes: one fault at a time, in an order, of lengths and
on nodes that a seed decides. Who leads is asked when a fault begins."""

import random
import time
from contextlib import contextmanager
from dataclasses import dataclass

# How long one waits for a leader to be known before any node will do.
LEADER_SECONDS = 10
# Between two faults.
REST_SECONDS = (1.0, 4.0)


def role(cluster, dice, leads):
    """The leader, or one that is not; the only one, where there is one."""
    if len(cluster.nodes) == 1:
        return cluster.nodes[1]
    end = time.monotonic() + LEADER_SECONDS
    while (leader := cluster.leader()) is None and time.monotonic() < end:
        time.sleep(0.05)
    numbers = [n for n in cluster.nodes if n != leader]
    return cluster.nodes[leader if leads and leader else dice.choice(numbers)]


@contextmanager
def none(cluster, dice):
    yield "nothing"


def kill(how_many, leads):
    @contextmanager
    def fault(cluster, dice):
        first = role(cluster, dice, leads)
        others = [node for node in cluster.nodes.values() if node is not first]
        killed = [first, *dice.sample(others, how_many - 1)]
        for node in killed:
            node.kill()
        yield f"kill -9 of {named(killed)}"
        dice.shuffle(killed)
        for node in killed:
            node.start()

    return fault


def pause(leads):
    @contextmanager
    def fault(cluster, dice):
        node = role(cluster, dice, leads)
        node.pause()
        yield f"SIGSTOP of {named([node])}"
        node.resume()

    return fault


def cut(shape):
    """Links from one node, as pairs of source and target."""

    @contextmanager
    def fault(cluster, dice):
        node = role(cluster, dice, dice.randrange(2) == 0).number
        others = [number for number in cluster.nodes if number != node]
        pairs = shape(node, others, dice)
        for source, target in pairs:
            cluster.network.cut(source, target)
        yield "cut " + ", ".join(f"{source}->{target}" for source, target in pairs)
        cluster.network.heal()

    return fault


def alone(node, others, dice):
    return [(node, other) for other in others] + [(other, node) for other in others]


def one_way(node, others, dice):
    """It hears and is not heard, or the other way round."""
    pairs = alone(node, others, dice)
    return pairs[:2] if dice.randrange(2) else pairs[2:]


def ring(node, others, dice):
    """One link of three: each node sees a majority, and no two the same."""
    other = dice.choice(others)
    return [(node, other), (other, node)]


@contextmanager
def full_disk(cluster, dice):
    filled = cluster.disk.fill()
    # What was allocated ahead must be used up before the node notices.
    cluster.flood.set()
    yield f"disk of node {cluster.small} full, {filled >> 20} MiB of ballast"
    cluster.flood.clear()
    cluster.disk.clear()


def named(nodes):
    return "node " + ", ".join(str(node.number) for node in nodes)


@dataclass(frozen=True)
class Kind:
    do: object
    lasts: tuple
    needs_network: bool = False
    needs_disk: bool = False


KINDS = {
    "none": Kind(none, (2.0, 5.0)),
    "kill-leader": Kind(kill(1, True), (0.5, 4.0)),
    "kill-follower": Kind(kill(1, False), (0.5, 4.0)),
    "kill-two": Kind(kill(2, True), (0.5, 4.0)),
    "kill-all": Kind(kill(3, True), (0.5, 2.0)),
    "pause-leader": Kind(pause(True), (1.0, 10.0)),
    "pause-follower": Kind(pause(False), (1.0, 10.0)),
    "partition": Kind(cut(alone), (3.0, 8.0), needs_network=True),
    "one-way": Kind(cut(one_way), (3.0, 8.0), needs_network=True),
    "ring": Kind(cut(ring), (3.0, 8.0), needs_network=True),
    "full-disk": Kind(full_disk, (6.0, 10.0), needs_network=True, needs_disk=True),
}


@dataclass(frozen=True)
class Planned:
    rest: float
    kind: str
    lasts: float
    seed: int


def plan(seed, kinds, seconds, lasts=None):
    """Faults for so many seconds: every kind once in a shuffled round, then
    the next round. No fault takes more than a sixth of a short run."""
    dice = random.Random(seed)
    planned, at, deck = [], 0.0, []
    while True:
        if not deck:
            deck = list(kinds)
            dice.shuffle(deck)
        kind = deck.pop()
        low, high = lasts or KINDS[kind].lasts
        length = dice.uniform(low, max(low, min(high, seconds / 6)))
        rest = dice.uniform(*REST_SECONDS)
        at += rest + length
        if planned and at > seconds:
            return planned
        planned.append(Planned(rest, kind, length, dice.randrange(1 << 32)))


def carry_out(cluster, planned, say, seconds):
    """Ends at the last fault or after so many seconds, whichever is first: a
    fault takes longer than planned where nobody leads yet. Gives the kind and
    the start of each fault that was done."""
    done = []
    began = time.monotonic()
    for fault in planned:
        time.sleep(fault.rest)
        at = time.monotonic() - began
        if at > seconds:
            break
        done.append((fault.kind, time.monotonic()))
        with KINDS[fault.kind].do(cluster, random.Random(fault.seed)) as what:
            say(f"{at:7.1f} s  {what}, for {fault.lasts:.1f} s")
            time.sleep(fault.lasts)
        revive(cluster, say)
    return done


def revive(cluster, say):
    """A node that ended by itself is started again, as systemd would."""
    before = len(cluster.ended_by_itself)
    cluster.notice_ends()
    for number in cluster.ended_by_itself[before:]:
        say(f"           node {number} had ended by itself")
        cluster.nodes[number].start()
