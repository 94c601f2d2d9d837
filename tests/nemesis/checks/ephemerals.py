"""An ephemeral node is there while its session lives and gone after its end."""

from history import Violation


def check(lives, sights):
    by_path = {life.path: life for life in lives}
    # A look at a path that is looked at again tells the same again: one is
    # enough for each path and fault.
    blamed = set()
    for sight in sights:
        life = by_path[sight.path]
        says = fault(life, sight)
        if says and (life.path, says) not in blamed:
            blamed.add((life.path, says))
            yield Violation("ephemeral", f"{life.path} {says}", [life, sight])


def fault(life, sight):
    if sight.owner is None:
        if life.created <= sight.began and sight.ended <= life.alive_until:
            return "was not there while its session lived"
    elif sight.owner != life.owner:
        return "belongs to another session"
    elif life.over_from <= sight.began:
        return f"was there after its end ({life.how})"
    return None


def check_end(left_by_node):
    """Once every session is over, none is left anywhere."""
    for node, left in left_by_node.items():
        if left:
            says = f"node {node} still holds {len(left)} ephemerals of sessions long over"
            yield Violation("ephemeral", says, sorted(left))
