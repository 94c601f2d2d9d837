"""The naive referee of checks/linear.py: every order is tried."""

from history import NEVER


def is_linearizable(ops, model):
    return _place(frozenset(range(len(ops))), model.first, ops, model)


def _place(left, state, ops, model):
    if all(ops[index].ended == NEVER for index in left):
        return True
    for index in left:
        op = ops[index]
        # Nothing may come before what was answered before it began.
        if any(ops[other].ended < op.began for other in left):
            continue
        if op.ended == NEVER and not model.changes(op):
            continue
        for after in model.step(state, op, op.value):
            if _place(left - {index}, after, ops, model):
                return True
    return False
