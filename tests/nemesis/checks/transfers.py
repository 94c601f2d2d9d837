"""Transfers: whoever looks sees the whole of a multi or nothing of it."""

from history import Violation


def check(balances, total):
    for seen in balances:
        if seen.left + seen.right != total or seen.left_version != seen.right_version:
            yield Violation("transfer", f"half a transfer was seen by {seen.client}", [seen])
    yield from back_in_time(balances)


def back_in_time(balances):
    """Reads behind a sync: none shows less than one that ended before it."""
    by_end = sorted(balances, key=lambda seen: seen.ended)
    newest, at = None, 0
    for seen in sorted(balances, key=lambda seen: seen.began):
        while at < len(by_end) and by_end[at].ended < seen.began:
            if newest is None or by_end[at].left_version > newest.left_version:
                newest = by_end[at]
            at += 1
        if newest is not None and seen.left_version < newest.left_version:
            yield Violation("transfer", "a balance went back in time", [newest, seen])


def check_end(end, moved, in_doubt):
    """Each acknowledged transfer counts once, each unanswered one at most."""
    if not moved <= end.left_version <= moved + in_doubt:
        says = f"{moved} transfers acknowledged, {in_doubt} unanswered, {end.left_version} happened"
        yield Violation("transfer", says, [end])


def check_halves(halves):
    for seen in halves:
        yield Violation("transfer", "a multi was answered as done by half", [seen])
