"""Made-up histories of registers, honest ones and such with a fault hidden in
them, for the self-test of the checker."""

from dataclasses import replace

from history import NEVER, OK, REFUSED, Op


def honest(dice, count, clients, unanswered=0.0, model="register"):
    """A history as a perfect server would give: each operation takes effect at
    a moment between its start and its answer. Some are never answered, of
    which half took effect."""
    plan = []
    idle_at = {f"c{number}": dice.random() for number in range(clients)}
    for number in range(count):
        client = min(idle_at, key=idle_at.get)
        began = idle_at[client]
        ended = began + dice.expovariate(1.0)
        idle_at[client] = ended + dice.expovariate(2.0)
        kinds = ("read", "write") if model == "register" else ("read", "write", "cas")
        kind = dice.choice(kinds)
        op = Op(client, kind, "r", began, ended=ended)
        if kind != "read":
            op.value = f"v{number}"
        plan.append([dice.uniform(began, ended), op, dice.random() < unanswered])
    value, version = None, 0
    for _, op, is_lost in sorted(plan, key=lambda item: item[0]):
        if is_lost:
            op.ended = NEVER
            if op.kind == "read" or dice.random() < 0.5:
                if op.kind == "cas":
                    op.expected = version
                continue
        if op.kind == "read":
            op.value, op.outcome = value, OK
            op.version = version
        elif op.kind == "write":
            value, version = op.value, version + 1
        else:
            op.expected = version - dice.choice((0, 0, 0, 1))
            if op.expected != version:
                op.outcome = OK if is_lost else REFUSED
                if is_lost:
                    op.outcome = "unanswered"
                continue
            value, version = op.value, version + 1
        if not is_lost:
            op.outcome = OK
            op.version = version
    ops = [op for _, op, _ in plan]
    return [op for op in ops if not (op.kind == "read" and op.ended == NEVER)]


def with_stale_read(dice, ops):
    """One read gives what was overwritten before it began: what it read and
    another value were both acknowledged before, in this order. None where the
    history has no place for it."""
    writes = [op for op in ops if op.kind == "write" and op.outcome == OK]
    reads = [op for op in ops if op.kind == "read" and op.outcome == OK]
    dice.shuffle(reads)
    for read in reads:
        past = sorted((op for op in writes if op.ended < read.began), key=lambda op: op.ended)
        older = [op for op in past if any(op.ended < other.began for other in past)]
        if older:
            stale = older[-1]
            lie = replace(read, value=stale.value, version=stale.version)
            return [lie if op is read else op for op in ops]
    return None


def with_lost_write(dice, ops):
    """All reads of an acknowledged value give the one before it, as if the
    write had never been; its writer's own read is among them."""
    writes = [op for op in ops if op.kind == "write" and op.outcome == OK]
    for write in dice.sample(writes, len(writes)):
        alone = [op for op in ops if op is not write and op.kind == "write"]
        if any(op.began < write.ended and op.ended > write.began for op in alone):
            continue
        before = [op for op in alone if op.ended < write.began]
        seen = [op for op in ops if op.kind == "read" and op.value == write.value]
        if before and seen and any(op.began > write.ended for op in seen):
            last = max(before, key=lambda op: op.ended)
            return [replace(op, value=last.value) if op in seen else op for op in ops]
    return None


def altered(dice, ops):
    """One answer changed by chance, which may or may not be a fault."""
    ops = list(ops)
    place = dice.randrange(len(ops))
    op = ops[place]
    if op.outcome != OK:
        return ops
    values = [other.value for other in ops if other.kind != "read"]
    if op.kind == "read" and values:
        ops[place] = replace(op, value=dice.choice(values))
    elif op.version is not None:
        ops[place] = replace(op, version=op.version + dice.choice((-1, 1)))
    return ops
