"""Numbers that are given once. A node made with the flag for a sequence gets
the next number of its parent behind its name, so however many ask at the same
time, each has a number of its own and all agree on the order. Queues, tickets and
fair locks are made of this. It prints:

    30 tickets, 30 numbers
    each counter drew rising numbers: True
    a ticket that was given back is not given again: True
"""

import sys
import threading

from kazoo.client import KazooClient

HOSTS = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:2181"
TICKETS = "/tutorials/sequence/ticket-"


class Counter:
    def __init__(self):
        self.client = KazooClient(HOSTS)
        self.client.start()
        self.drawn = []

    def draw(self, count=10):
        for _ in range(count):
            path = self.client.create(TICKETS, sequence=True)
            self.drawn.append(int(path.removeprefix(TICKETS)))


counters = [Counter() for _ in range(3)]
client = counters[0].client
client.ensure_path("/tutorials")
client.delete("/tutorials/sequence", recursive=True)
client.ensure_path("/tutorials/sequence")

threads = [threading.Thread(target=counter.draw) for counter in counters]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
numbers = [number for counter in counters for number in counter.drawn]
print(f"{len(numbers)} tickets, {len(set(numbers))} numbers")
rise = all(counter.drawn == sorted(counter.drawn) for counter in counters)
print("each counter drew rising numbers:", rise)

client.delete(f"{TICKETS}{max(numbers):010}")
counters[1].draw(1)
print("a ticket that was given back is not given again:", counters[1].drawn[-1] > max(numbers))

for counter in counters:
    counter.client.stop()
