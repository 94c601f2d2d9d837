"""Transfers between two nodes by multi: whoever reads both at once sees the
same sum and the same number of changes on both sides."""

import time
from dataclasses import dataclass

import jute
from client import Expired, Lost
from work.load import SYNC, Client

LEFT, RIGHT = "/bank/left", "/bank/right"
SUM = 1000


@dataclass(slots=True)
class Balance:
    client: str
    began: float
    ended: float
    left: int
    right: int
    left_version: int
    right_version: int


def balance(client):
    """Both sides in one read."""
    began = time.monotonic()
    parts = [(jute.GET_DATA, jute.watched(path)) for path in (LEFT, RIGHT)]
    _, (_, reader) = client.ask(SYNC, (jute.MULTI_READ, jute.multi(parts)))
    ((_, (left, left_stat)), (_, (right, right_stat))) = reader.results()
    versions = (left_stat.version, right_stat.version)
    return Balance(client.name, began, time.monotonic(), int(left), int(right), *versions)


class TransferClient(Client):
    def __init__(self, *args):
        super().__init__(*args)
        self.balances = []
        self.moved = self.in_doubt = 0
        # Half a transfer, as an answer told it.
        self.halves = []

    def turn(self):
        seen = balance(self)
        self.balances.append(seen)
        amount = self.dice.randrange(1, 10)
        sides = (
            (LEFT, seen.left - amount, seen.left_version),
            (RIGHT, seen.right + amount, seen.right_version),
        )
        parts = [
            (jute.SET_DATA, jute.set_data(path, str(left).encode(), version))
            for path, left, version in sides
        ]
        try:
            ((_, reader),) = self.ask((jute.MULTI, jute.multi(parts)))
        except (Lost, Expired):
            self.in_doubt += 1
            raise
        done = [after is not None for _, after in reader.results()]
        if all(done):
            self.moved += 1
        elif any(done):
            self.halves.append(seen)
