"""Three nodes as processes: started, killed, stopped, asked who leads. What a
target is (how it is configured and started) is in dolmen.py and zookeeper.py."""

import os
import signal
import subprocess
import threading
import time

import jute
from client import Expired, Lost, Refused, Session, four_letters

NODES = 3
POLL_SECONDS = 0.05
LAST_WORDS = 8
LEASHED = ["setpriv", "--pdeathsig", "KILL"]


class Node:
    def __init__(self, number, address, command, said, ended_quickly=None):
        self.number, self.address = number, address
        self.command, self.said = command, said
        # The file in which the daemon counts its ends without a word.
        self.ended_quickly = ended_quickly
        self.pid = None
        self.process = None
        self.is_stopped = False
        # Whether we ended it; a node that ends otherwise ended by itself.
        self.is_down = True

    def start(self):
        with open(self.said, "ab") as said:
            command = [str(word) for word in self.command]
            self.process = subprocess.Popen(command, stdout=said, stderr=said)
        self.pid = self.process.pid
        self.is_down = self.is_stopped = False

    def adopt(self, pid):
        """A process that another started: `dolmen dev`."""
        self.pid, self.process = pid, None
        self.is_down = self.is_stopped = False

    def has_ended(self):
        if self.process is not None:
            return self.process.poll() is not None
        try:
            with open(f"/proc/{self.pid}/stat") as stat:
                # A child of `dolmen dev` that has ended may wait for it.
                return stat.read().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    def send(self, how):
        if not self.is_down and not self.has_ended():
            os.kill(self.pid, how)

    def kill(self):
        self.send(signal.SIGKILL)
        self.is_down = True
        until(f"node {self.number} has ended", self.has_ended, 30)
        # A kill stands for a power cut. The daemon tells that by the machine's
        # boot, which stays the same here: after three it would serve no more.
        if self.ended_quickly is not None:
            self.ended_quickly.unlink(missing_ok=True)

    def pause(self):
        self.send(signal.SIGSTOP)
        self.is_stopped = True

    def resume(self):
        self.send(signal.SIGCONT)
        self.is_stopped = False

    def mode(self):
        """leader, follower, or nothing: what `srvr` says."""
        for line in four_letters(self.address, "srvr").splitlines():
            if line.startswith("Mode: "):
                return line[6:].strip()
        return None


def until(what, holds, seconds):
    """Waits for a fact; that it never comes is an error."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(POLL_SECONDS)


class Cluster:
    """Nodes, and the network and the small disk where there are such."""

    def __init__(self, folder, network=None, disk=None, small=None):
        self.folder, self.network = folder, network
        # The node whose data lies on the small disk.
        self.disk, self.small = disk, small
        # Set while clients should write large values.
        self.flood = threading.Event()
        self.nodes = {}
        self.ended_by_itself = []

    def data(self, number):
        if self.disk is not None and number == self.small:
            return self.disk.path / f"data-{number}"
        return self.folder / f"data-{number}"

    def within(self, number):
        """The words before a command of a node: where it runs, and that it
        does not outlive this process."""
        return (self.network.within(number) if self.network else []) + LEASHED

    def leader(self):
        """The number of the node that says it leads, or None."""
        for node in self.nodes.values():
            if not node.is_down and not node.is_stopped and node.mode() == "leader":
                return node.number
        return None

    def notice_ends(self):
        """Nodes that ended though nobody killed them, each told once."""
        for node in self.nodes.values():
            if not node.is_down and node.has_ended():
                node.is_down = True
                self.ended_by_itself.append(node.number)

    def heal(self):
        """No fault is left: all go on, all run, all reach each other."""
        if self.network:
            self.network.heal()
        if self.disk:
            self.disk.clear()
        self.notice_ends()
        for node in self.nodes.values():
            if node.is_stopped:
                node.resume()
            if node.is_down:
                node.start()

    def unserved(self, seconds):
        """Nodes that do not answer a write of a new session within so long."""
        end = time.monotonic() + seconds
        left = set(self.nodes)
        while left and time.monotonic() < end:
            for number in sorted(left):
                if answers(self.nodes[number].address):
                    left.discard(number)
            if left:
                time.sleep(POLL_SECONDS)
        return sorted(left)

    def last_words(self, numbers):
        """What those nodes said last, for a person to read."""
        lines = []
        for number in numbers:
            said = self.nodes[number].said
            words = said.read_text(errors="replace").splitlines() if said.exists() else []
            lines += [f"node {number}: {line}" for line in words[-LAST_WORDS:]]
        return lines

    def end(self):
        """Ends every process; called whatever happened."""
        for node in self.nodes.values():
            if node.pid is not None:
                node.send(signal.SIGCONT)
                node.kill()


def answers(address):
    """Whether a new session can write and sync there."""
    session = Session(call_seconds=2.0)
    try:
        session.connect(address)
        path = f"/alive-{session.session:x}"
        session.call(jute.CREATE2, jute.create(path, b"", jute.EPHEMERAL))
        session.call(jute.SYNC, jute.text("/"))
        session.close()
    except (Lost, Expired, Refused):
        return False
    finally:
        session.drop()
    return True
