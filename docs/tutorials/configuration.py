"""Configuration that changes while programs run. One program writes it to a
node, another has a watch on the node and hears of each change at once, whichever
server it is connected to. It prints:

    the line runs at 40 parts a minute
    the line runs at 55 parts a minute
    nobody asked again: 2 changes, 2 calls
"""

import sys
import threading

from kazoo.client import KazooClient

HOSTS = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:2181"
SPEED = "/tutorials/configuration/speed"
PATIENCE = 30

office, line = KazooClient(HOSTS), KazooClient(HOSTS)
office.start()
line.start()
office.ensure_path("/tutorials")
office.delete("/tutorials/configuration", recursive=True)
office.create(SPEED, b"40", makepath=True)

calls = []
heard = threading.Semaphore(0)


# Called with what is there now, and again after every change. Behind it is
# `getData` with a watch: the server tells once, and the client asks anew.
@line.DataWatch(SPEED)
def adjust(data, stat):
    calls.append(stat.version)
    print(f"the line runs at {data.decode()} parts a minute", flush=True)
    heard.release()


assert heard.acquire(timeout=PATIENCE)
# A version makes the write a question: only who has seen the newest may change it.
office.set(SPEED, b"55", version=0)
assert heard.acquire(timeout=PATIENCE)
print(f"nobody asked again: {calls[-1] + 1} changes, {len(calls)} calls")

office.stop()
line.stop()
