"""Who is there. Each machine makes an ephemeral node, which lives as long as its
session; whoever watches the parent hears of machines that come and go. Dolmen shows
its own nodes in the same way, below /dolmen/nodes. It prints:

    there are: nobody
    there are: press
    there are: oven, press
    there are: oven
    there are: nobody
"""

import sys
import threading

from kazoo.client import KazooClient

HOSTS = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:2181"
MACHINES = "/tutorials/members/machines"
PATIENCE = 30

office = KazooClient(HOSTS)
office.start()
office.ensure_path("/tutorials")
office.delete("/tutorials/members", recursive=True)
office.ensure_path(MACHINES)
told = threading.Semaphore(0)


@office.ChildrenWatch(MACHINES)
def tell(names):
    print("there are:", ", ".join(sorted(names)) or "nobody", flush=True)
    told.release()


def machine(name):
    client = KazooClient(HOSTS)
    client.start()
    client.create(f"{MACHINES}/{name}", b"ready", ephemeral=True)
    assert told.acquire(timeout=PATIENCE)
    return client


assert told.acquire(timeout=PATIENCE)
press = machine("press")
oven = machine("oven")
# The machine is switched off. If it were torn from the wall, its node would go
# once its session's timeout has passed.
for client in (press, oven):
    client.stop()
    assert told.acquire(timeout=PATIENCE)

office.stop()
