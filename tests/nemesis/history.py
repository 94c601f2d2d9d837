"""What clients did, as checkers read it."""

import json
from dataclasses import asdict, dataclass, is_dataclass

# The end of an operation that was never answered.
NEVER = float("inf")

OK, REFUSED, UNANSWERED = "ok", "refused", "unanswered"


@dataclass(slots=True)
class Op:
    """One operation on one register: a read, a write or a cas."""

    client: str
    kind: str
    key: str
    began: float
    # What was read or is to be written.
    value: object = None
    # The version that a cas asks for.
    expected: int | None = None
    # The version that the answer gave.
    version: int | None = None
    ended: float = NEVER
    outcome: str = UNANSWERED


@dataclass(slots=True)
class Violation:
    check: str
    says: str
    # What led to it: anything that can be written down.
    story: list


def plain(thing):
    if is_dataclass(thing):
        return asdict(thing)
    if isinstance(thing, bytes):
        return thing.decode(errors="replace")
    return str(thing)


def write_down(path, header, violations):
    """One JSON line for the run, then per violation one and its story."""
    with open(path, "w") as file:
        print(json.dumps(header, default=plain), file=file)
        for violation in violations:
            line = {"check": violation.check, "says": violation.says}
            print(json.dumps(line), file=file)
            for part in violation.story:
                print(json.dumps(part, default=plain), file=file)
