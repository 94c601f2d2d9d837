"""One leads, the others stand by. When the leader is gone, the next in line
takes over, and nobody has to notice by polling. This is how Spark's standalone
masters choose among themselves, and they do it unchanged with Dolmen. It prints:

    first leads
    in line: first, second, third
    first is gone
    second leads
    in line: second, third
"""

import sys
import threading

from kazoo.client import KazooClient
from kazoo.exceptions import CancelledError, ConnectionClosedError

HOSTS = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:2181"
MASTERS = "/tutorials/election/masters"
PATIENCE = 30


class Master:
    def __init__(self, name):
        self.name = name
        self.client = KazooClient(HOSTS)
        self.client.start()
        self.election = self.client.Election(MASTERS, name)
        self.leads = threading.Event()
        self.is_done = threading.Event()
        self.thread = threading.Thread(target=self.stand)

    def stand(self):
        """Waits to be the leader, and leads for as long as `lead` takes."""
        try:
            self.election.run(self.lead)
        except (CancelledError, ConnectionClosedError):
            pass  # it stood by until its client was stopped

    def lead(self):
        print(f"{self.name} leads", flush=True)
        self.leads.set()
        self.is_done.wait()

    def die(self):
        self.client.stop()
        self.is_done.set()


masters = [Master(name) for name in ("first", "second", "third")]
first, second, third = masters
observer = KazooClient(HOSTS)
observer.start()
observer.ensure_path("/tutorials")
observer.delete("/tutorials/election", recursive=True)
observer.ensure_path(MASTERS)


def in_line(count):
    election = observer.Election(MASTERS)
    while len(names := election.contenders()) != count:
        threading.Event().wait(0.01)
    return ", ".join(names)


for place, master in enumerate(masters):
    master.thread.start()
    in_line(place + 1)
assert first.leads.wait(PATIENCE)
print("in line:", in_line(3))
print("first is gone", flush=True)
first.die()
assert second.leads.wait(PATIENCE)
print("in line:", in_line(2))

# From the end of the line, so that nobody takes over once more.
third.election.cancel()
third.thread.join()
third.die()
second.die()
second.thread.join()
observer.stop()
