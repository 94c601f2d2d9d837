"""Sequential nodes: made, and some of them deleted again."""

import time
from dataclasses import dataclass

import jute
from client import Refused
from history import NEVER
from work.load import Client

QUEUE = "/queue"
# Of so many creates one is followed by a delete.
DELETE_EVERY = 3
# Above so many of one client every create is: the list of all must fit into
# one answer of 1 MiB.
KEPT_MAX = 5000


@dataclass(slots=True)
class Item:
    data: str
    began: float
    ended: float = NEVER
    path: str | None = None
    delete_began: float = NEVER
    delete_ended: float = NEVER
    # Acknowledged, and yet its delete found nothing.
    is_missed: bool = False


class SequenceClient(Client):
    def __init__(self, *args):
        super().__init__(*args)
        self.items = []
        self.kept = 0

    def turn(self):
        item = Item(self.unique(), time.monotonic())
        self.items.append(item)
        body = jute.create(f"{QUEUE}/n-", item.data.encode(), jute.SEQUENTIAL)
        ((_, reader),) = self.ask((jute.CREATE2, body))
        item.ended, item.path = time.monotonic(), reader.text()
        if self.kept < KEPT_MAX and self.dice.randrange(DELETE_EVERY) > 0:
            self.kept += 1
        else:
            item.delete_began = time.monotonic()
            try:
                self.ask((jute.DELETE, jute.versioned(item.path, jute.ANY_VERSION)))
            except Refused as refused:
                if refused.code != jute.NO_NODE:
                    raise
                item.is_missed = True
                return
            item.delete_ended = time.monotonic()
