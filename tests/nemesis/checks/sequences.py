"""Sequential nodes: an acknowledged one is kept, its number is its own for
ever, and what was made later has a larger one."""

from history import NEVER, Violation


def number(path):
    return int(path[-10:])


def check(items, contents):
    """`contents` is what a node holds at the end: path to data."""
    named = [item for item in items if item.path is not None]
    return [
        *repeated(named),
        *out_of_order(named),
        *lost(named, contents),
        *invented(items, contents),
    ]


def repeated(named):
    first = {}
    for item in named:
        other = first.setdefault(number(item.path), item)
        if other is not item:
            yield Violation("sequence", f"{item.path} was given twice", [other, item])


def out_of_order(named):
    """Whatever began after another was acknowledged has a larger number."""
    by_end = sorted(named, key=lambda item: item.ended)
    newest, at = None, 0
    for item in sorted(named, key=lambda item: item.began):
        while at < len(by_end) and by_end[at].ended < item.began:
            if newest is None or number(by_end[at].path) > number(newest.path):
                newest = by_end[at]
            at += 1
        if newest is not None and number(item.path) <= number(newest.path):
            says = f"{item.path} was made after {newest.path} was acknowledged"
            yield Violation("sequence", says, [newest, item])


def lost(named, contents):
    for item in named:
        held = contents.get(item.path)
        if item.is_missed:
            yield Violation("sequence", f"{item.path} was gone when it was deleted", [item])
        elif item.delete_ended != NEVER:
            if held is not None:
                yield Violation("sequence", f"{item.path} was deleted and is there", [item, held])
        elif held is None and item.delete_began == NEVER:
            yield Violation("sequence", f"{item.path} was acknowledged and is gone", [item])
        elif held is not None and held != item.data:
            says = f"{item.path} holds {held}, which is not what was written"
            yield Violation("sequence", says, [item, held])


def invented(items, contents):
    sent = {}
    for item in items:
        sent[item.data] = item
    places = {}
    for path, data in contents.items():
        if data not in sent:
            yield Violation("sequence", f"{path} holds {data}, which nobody sent", [data])
        elif places.setdefault(data, path) != path:
            says = f"one create made {places[data]} and {path}"
            yield Violation("sequence", says, [sent[data]])
