"""What no client says, by raw bytes: each names the code that Kafka answers and
whether the connection stays; see kafka/hostile.py."""

import sys

from kit import HERE, Counts
from sets.kafka_scenarios import played

QUICK = True
DOOR = "kafka"


def prepare():
    pass


def run(target, folder, is_quick):
    counts = Counts()
    pids = [node.process.pid if node.process else node.pid for node in target.nodes]
    command = ["env", f"HOSTILE_PIDS={','.join(map(str, pids))}", sys.executable]
    command += [HERE / "kafka" / "hostile.py", target.kafka, "quick" if is_quick else "full"]
    played(counts, "raw", command, folder / "hostile.said")
    return counts
