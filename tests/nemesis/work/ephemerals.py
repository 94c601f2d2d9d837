"""Ephemeral nodes: owners that live, close, vanish or expire, and observers
that look from other sessions."""

import time
from dataclasses import dataclass

import jute
from client import Expired, Lost, Refused
from history import NEVER
from work.load import SYNC, Client

HOME = "/ephemerals"
# Which lives an observer looks at: the newest so many.
RECENT = 8


@dataclass(slots=True)
class Life:
    """One ephemeral node. It must be there from `created` to `alive_until`,
    the start of the last acknowledged write of its session, and gone from
    `over_from` on, when its end was acknowledged."""

    path: str
    owner: int
    created: float = NEVER
    alive_until: float = 0.0
    over_from: float = NEVER
    how: str = "lives"


@dataclass(slots=True)
class Sight:
    observer: str
    path: str
    began: float
    ended: float
    # The owner's session, or nothing.
    owner: int | None


class Owner(Client):
    session_ms = 4000

    def __init__(self, *args):
        super().__init__(*args)
        self.lives = []
        self.turns_left = 0

    def turn(self):
        life = self.lives[-1] if self.lives else None
        if life is None or life.how != "lives" or life.owner != self.session.session:
            self.begin()
        elif self.turns_left > 0:
            self.turns_left -= 1
            self.prove(life)
        else:
            self.finish(life)

    def step(self):
        super().step()
        # Told that the session is over: so is the node.
        now = time.monotonic()
        for life in self.lives[-1:]:
            if life.how == "lives" and self.session.session == 0:
                life.how, life.over_from = "expired", now

    def begin(self):
        life = Life(f"{HOME}/{self.unique()}", self.session.session)
        self.lives.append(life)
        self.turns_left = self.dice.randrange(5, 60)
        self.ask((jute.CREATE2, jute.create(life.path, b"", jute.EPHEMERAL)))
        life.created = time.monotonic()

    def prove(self, life):
        began = time.monotonic()
        body = jute.set_data(life.path, self.unique().encode(), jute.ANY_VERSION)
        try:
            self.ask((jute.SET_DATA, body))
        except Refused as refused:
            # Whether its create was ever answered decides whether it may lack.
            if refused.code == jute.NO_NODE and life.created == NEVER:
                life.how = "never came"
                return
            raise AssertionError(f"{life}: refused with {refused.code}") from refused
        life.created = min(life.created, time.monotonic())
        life.alive_until = began

    def finish(self, life):
        how = self.dice.choice(("closes", "vanishes", "is deleted"))
        life.how = how
        if how == "closes":
            life.over_from = self.session.close()
        elif how == "is deleted":
            self.ask((jute.DELETE, jute.versioned(life.path, jute.ANY_VERSION)))
            life.over_from = time.monotonic()
        else:
            # The connection ends without a word and the session is never
            # taken up again.
            self.session.drop()
            self.session.forget(time.monotonic())

    def leave(self):
        """Half go without a word, so that the end of the run sees expiry."""
        try:
            if self.session.socket is not None and self.dice.randrange(2):
                self.session.close()
        except (Lost, Expired, Refused):
            pass
        self.session.drop()


class Observer(Client):
    def __init__(self, load, name, pinned):
        super().__init__(load, name, pinned)
        self.sights = []

    def turn(self):
        lives = [life for owner in self.load.of(Owner) for life in owner.lives[-RECENT:]]
        if not lives:
            return
        path = self.dice.choice(lives).path
        began = time.monotonic()
        try:
            _, (_, reader) = self.ask(SYNC, (jute.EXISTS, jute.watched(path)))
            owner = reader.stat().owner
        except Refused as refused:
            if refused.code != jute.NO_NODE:
                raise
            owner = None
        self.sights.append(Sight(self.name, path, began, time.monotonic(), owner))
