"""What the original answers, byte for byte decoded: the scripts and records of
tests/golden."""

import subprocess
import sys

from kit import ROOT, Counts, Failed, leads

QUICK = True
RECORD = ROOT / "tests" / "golden" / "record"
CHECK_SECONDS = 1200
# Debian's package is the older original, PySpark's jars hold the newer.
FLAVOURS = {"zookeeper": "zookeeper-3.8"}


def prepare():
    pass


def run(target, _folder, _is_quick):
    # A request that a follower of the original cannot read does not always
    # come back from its leader, so that the leader is asked.
    hosts = [node.address for node in target.nodes]
    hosts.sort(key=lambda host: not leads(host))
    flavour = FLAVOURS.get(target.name, target.name)
    command = [sys.executable, RECORD, "--check", "--flavour", flavour]
    command += ["--alone", target.start_alone(), ",".join(hosts)]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=CHECK_SECONDS,
    )
    counts = Counts()
    for line in done.stdout.splitlines():
        if line.startswith(("ok ", "FAILED ")):
            counts.check(line.startswith("ok "), line.removeprefix("FAILED "))
        elif line.startswith("    ") and counts.failures:
            counts.failures[-1] += f"\n    {line}"
    # Its last line counts the scripts: without it some were not played.
    is_whole = f"golden: {counts.passed + len(counts.failures)} scripts" in done.stdout
    if not is_whole or (done.returncode != 0) != bool(counts.failures):
        raise Failed(f"record ended with {done.returncode}: {done.stdout[-300:]}")
    return counts
