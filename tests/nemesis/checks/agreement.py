"""At the end, behind a sync, every node holds the same."""

from history import Violation


def check(contents):
    """`contents` is, by node, a mapping of path to all that is known of it."""
    first = min(contents, default=None)
    reference = contents.get(first)
    for node, held in contents.items():
        for path in sorted(set(reference) | set(held)):
            if reference.get(path) != held.get(path):
                story = [[first, reference.get(path)], [node, held.get(path)]]
                yield Violation("agreement", f"nodes {first} and {node} differ in {path}", story)
