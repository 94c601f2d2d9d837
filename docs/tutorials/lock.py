"""A lock, and what makes it safe. Two machines want the same press; one holds
the lock, the other waits. The first falls silent and loses its session, so the
second gets the lock. When the first wakes up it still believes that it holds it:
no lock service can prevent that. What prevents the damage is the fencing token,
the czxid of the lock's node. It grows with every holder, and whoever guards the
press takes no order with a lower token than it has seen. It prints:

    left holds the press
    right waits
    right holds the press
    right's token is the greater: True
    the press takes an order of right
    the press refuses a late order of left
"""

import sys
import threading

from kazoo.client import KazooClient

HOSTS = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:2181"
PRESS = "/tutorials/lock/press"
PATIENCE = 30


class Machine:
    def __init__(self, name):
        self.name = name
        self.client = KazooClient(HOSTS)
        self.client.start()
        self.lock = self.client.Lock(PRESS, name)

    def take(self):
        assert self.lock.acquire(timeout=PATIENCE)
        print(f"{self.name} holds the press", flush=True)
        self.token = self.client.exists(f"{PRESS}/{self.lock.node}").czxid


class Press:
    """What the lock protects. It knows nothing of locks, only numbers."""

    highest = 0

    def order(self, machine):
        takes = machine.token >= self.highest
        self.highest = max(self.highest, machine.token)
        what = "takes an order" if takes else "refuses a late order"
        print(f"the press {what} of {machine.name}")


left, right = Machine("left"), Machine("right")
left.client.ensure_path("/tutorials")
left.client.delete("/tutorials/lock", recursive=True)

left.take()
waiting = threading.Thread(target=right.take)
waiting.start()
# Both have a node below the lock; the one that came first is the holder.
while len(left.client.get_children(PRESS)) < 2:
    threading.Event().wait(0.01)
print("right waits", flush=True)
# The session ends, and its node goes with it. Without a `stop` the same would
# happen once the session's timeout has passed.
left.client.stop()
waiting.join(PATIENCE)

print(f"right's token is the greater: {right.token > left.token}")
press = Press()
press.order(right)
press.order(left)
right.client.stop()
