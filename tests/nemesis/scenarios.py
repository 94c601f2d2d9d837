"""What may be asked for by name: which faults, under which load, judged how."""

from dataclasses import dataclass

from client import CALL_SECONDS
from cluster import NODES
from faults import KINDS
from work.ephemerals import Observer, Owner
from work.registers import CasClient, Filler, PatientClient, PlainClient, RegisterClient
from work.sequences import SequenceClient
from work.transfers import TransferClient
from work.watches import WRITERS, OnceWatcher, RecursiveWatcher, Writer

EVERY_NODE = range(1, NODES + 1)


def everything(load):
    """Some clients stay at one node, the others roam."""
    for node in EVERY_NODE:
        load.add(RegisterClient, f"register-at-{node}", node)
        load.add(RegisterClient, f"register-{node}")
        load.add(CasClient, f"cas-at-{node}", node)
        load.add(RecursiveWatcher, f"recursive-at-{node}", node)
        load.add(OnceWatcher, f"once-at-{node}", node)
        load.add(TransferClient, f"transfer-{node}")
    load.add(OnceWatcher, "once")
    for name in WRITERS:
        load.add(Writer, name)
    for number in (1, 2):
        load.add(SequenceClient, f"sequence-{number}")
        load.add(Owner, f"owner-{number}", number)
        load.add(Observer, f"observer-{number}", number + 1)
    load.add(Owner, "owner")


def patient(load):
    for node in EVERY_NODE:
        for number in range(6):
            load.add(PatientClient, f"patient-{number}-at-{node}", node)
        load.add(RegisterClient, f"register-at-{node}", node)


def pinned_plain(load):
    for node in EVERY_NODE:
        for number in range(2):
            load.add(PlainClient, f"plain-{number}-at-{node}", node)


def with_filler(load):
    everything(load)
    load.add(Filler, "filler")


@dataclass(frozen=True)
class Scenario:
    name: str
    faults: tuple
    load: object = everything
    lasts: tuple | None = None
    call_seconds: float = CALL_SECONDS
    # Plain reads judged as if they had to be linearizable.
    judges_plain: bool = False

    def needs(self, what):
        return any(getattr(KINDS[kind], f"needs_{what}") for kind in self.faults)


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("mixed", tuple(kind for kind in KINDS if kind != "full-disk")),
        # A deposed leader that wakes up has requests waiting that were sent
        # long after it was deposed: clients that are patient and think long.
        Scenario(
            "paused-leader",
            ("pause-leader",),
            patient,
            lasts=(5.0, 8.0),
            call_seconds=15.0,
        ),
        # What a follower that was paused, and reads without sync, may show.
        # Not linearizable anywhere: this shows that the checker sees it.
        Scenario(
            "stale-reads",
            ("pause-follower",),
            pinned_plain,
            lasts=(1.0, 3.0),
            call_seconds=8.0,
            judges_plain=True,
        ),
        Scenario("full-disk", ("full-disk",), with_filler),
    )
}

# Those that a sound service passes.
ALL = [*(kind for kind in KINDS if kind not in SCENARIOS), "full-disk", "paused-leader", "mixed"]


def scenario(name):
    """A named one, a kind of fault, or several kinds joined by +."""
    if name in SCENARIOS:
        return SCENARIOS[name]
    kinds = tuple(name.split("+"))
    for kind in kinds:
        if kind not in KINDS:
            known = ", ".join(dict.fromkeys([*KINDS, *SCENARIOS, "all"]))
            raise ValueError(f"no fault is called {kind}; there are: {known}")
    return Scenario(name, kinds, with_filler if "full-disk" in kinds else everything)
