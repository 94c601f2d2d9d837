"""Begin together, end together. The workers of a batch wait at a barrier until
all of them are there, and nobody goes on to the next batch before all have left.
It prints:

    all had come before the first began: True
    all had ended before the first left: True
"""

import sys
import threading

from kazoo.client import KazooClient

HOSTS = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:2181"
BATCH = "/tutorials/barrier/batch-1"
WORKERS = 3

# What happened, in its order.
story = []


def work(name):
    client = KazooClient(HOSTS)
    client.start()
    barrier = client.DoubleBarrier(BATCH, WORKERS, identifier=name)
    story.append("came")
    barrier.enter()
    story.append("began")
    # Here a worker does its part of the batch.
    story.append("ended")
    barrier.leave()
    story.append("left")
    client.stop()


client = KazooClient(HOSTS)
client.start()
client.ensure_path("/tutorials")
client.delete("/tutorials/barrier", recursive=True)
workers = [threading.Thread(target=work, args=(f"worker-{i}",)) for i in range(WORKERS)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()


def all_before_first(these, other):
    last = max(place for place, what in enumerate(story) if what == these)
    return last < story.index(other)


print("all had come before the first began:", all_before_first("came", "began"))
print("all had ended before the first left:", all_before_first("ended", "left"))
client.stop()
