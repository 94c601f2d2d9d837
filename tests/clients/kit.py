"""What the client sets share: a failure that says why, processes that are
ended by the handle they were started with, and waiting for a condition."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# A JVM on a busy two-core box takes some 20 s to its first answer, on one with a
# load of 80 more than 120.
START_SECONDS = 300
# Long enough for a server to drain; after that it is killed.
STOP_SECONDS = 20


class Failed(Exception):
    """Why a set could not do what it is there for."""


@dataclass
class Counts:
    passed: int = 0
    skipped: int = 0
    # Each in one sentence, printed beneath the set's line.
    failures: list = field(default_factory=list)
    # Each with the reason it is not held against the server.
    notes: list = field(default_factory=list)

    def check(self, holds, says):
        if holds:
            self.passed += 1
        else:
            self.failures.append(says)
        return holds

    def add(self, other):
        self.passed += other.passed
        self.skipped += other.skipped
        self.failures += other.failures
        self.notes += other.notes


class Folder:
    """A folder of its own, gone at the end unless DOLMEN_KEEP=1."""

    def __enter__(self):
        self.path = Path(tempfile.mkdtemp(prefix="dolmen-clients-"))
        return self.path

    def __exit__(self, *_):
        if os.environ.get("DOLMEN_KEEP") == "1":
            print(f"kept {self.path}", flush=True)
        else:
            shutil.rmtree(self.path, ignore_errors=True)


class Process:
    """One child, its words in a file."""

    def __init__(self, command, log, env=None, cwd=None, stdin=subprocess.DEVNULL):
        self.log = Path(log)
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(
                [str(part) for part in command],
                stdin=stdin,
                bufsize=0,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
            )
        self.pid = self.child.pid

    def running(self):
        return self.child.poll() is None

    def said(self):
        return self.log.read_text(errors="replace")

    def tail(self, lines=5):
        return " | ".join(self.said().splitlines()[-lines:])

    def kill(self):
        if self.running():
            self.child.kill()
        self.child.wait()

    def end(self):
        if self.running():
            self.child.terminate()
            try:
                self.child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.child.kill()
        return self.child.wait()


def is_gone(pid):
    """Whether a process that is not ours has ended; its parent may not have
    reaped it yet. The first of its threads may be dead before the others, which
    have its files and locks until then."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        threads = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z" and len(threads) == 1


def end_foreign(pid):
    """Ends a process by its id and waits until it is gone."""
    for sign, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5)):
        try:
            os.kill(pid, sign)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if is_gone(pid):
                return
            time.sleep(0.05)
    raise Failed(f"process {pid} does not end")


def wait_for(says, condition, seconds=START_SECONDS, every=0.1):
    """The condition's first true value, or a failure that says what never came."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise Failed(f"after {seconds} s still not so: {says}")
        time.sleep(every)


def word(address, text, seconds=5):
    """A four-letter word's answer, or None where nobody answers."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), seconds) as door:
            door.settimeout(seconds)
            door.sendall(text)
            answer = b""
            while True:
                piece = door.recv(65536)
                if not piece:
                    return answer
                answer += piece
    except OSError:
        return None


def open_port(address, seconds=2):
    """Whether somebody listens there."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), seconds).close()
    except OSError:
        return False
    return True


def leads(address):
    """Whether this server leads; one that says nothing yet is asked again."""
    says = lambda: b"Mode:" in (said := word(address, b"srvr") or b"") and said
    return b"Mode: leader" in wait_for(f"{address} names its mode", says, 60)


def free_base_port(span=400):
    """A base from which `span` ports are not listened on just now."""
    for base in range(20000, 60000, 1000):
        if all(_is_free(base + step) for step in range(0, span)):
            return base
    raise Failed("no stretch of free ports between 20000 and 60000")


def _is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
