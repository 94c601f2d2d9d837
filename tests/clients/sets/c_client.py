"""The C client's shell, cli_mt of Debian's zookeeper-bin: what is typed, and
what must be said before the next is typed."""

import re
import subprocess

import install
from kit import HERE, Counts, Failed, Process, wait_for

QUICK = True
CLI = install.DEBIAN_PACKAGES["zookeeper-bin"]
ANSWER_SECONDS = 10


def prepare():
    install.debian("zookeeper-bin")


def run(target, folder, _is_quick):
    counts = Counts()
    command = [CLI, target.hosts]
    shell = Process(command, folder / "cli_mt", stdin=subprocess.PIPE)
    try:
        wait_for("the C client connects", lambda: "CONNECTED_STATE" in shell.said(), 30)
        for line, *wanted in steps((HERE / "sets" / "c_client.script").read_text()):
            heard = len(shell.said())
            if not shell.running():
                raise Failed(f"cli_mt ended before {line!r}: {shell.tail()}")
            shell.child.stdin.write(f"{line}\n".encode())
            for pattern in wanted:
                counts.check(*answered(shell, heard, line, pattern))
    finally:
        shell.end()
    return counts


def steps(text):
    found = []
    for line in text.splitlines():
        if line.startswith("> "):
            found.append([line[2:]])
        elif line.startswith("~ "):
            found[-1].append(line[2:])
    return found


def answered(shell, heard, line, pattern):
    says = f"{line}: never says {pattern!r}"
    try:
        matches = lambda: re.search(pattern, shell.said()[heard:], re.MULTILINE)
        wait_for(says, matches, ANSWER_SECONDS, every=0.02)
        return True, says
    except Failed:
        return False, f"{says}, but {' | '.join(shell.said()[heard:].splitlines())[-300:]!r}"
