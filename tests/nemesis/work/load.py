"""What every client of the load has: a thread, a session, its own dice, and
the lists it writes down to. Lists belong to one client each, so nothing is
locked."""

import random
import threading
import time
import traceback

import jute
from client import SESSION_MS, Expired, Lost, Refused, Session
from history import OK

# Between two requests of one client, at most; half of it on average.
THINK_SECONDS = 0.1
# How long a client without a connection waits at most before it tries again.
AGAIN_SECONDS = 0.2
# One turn in so many, a roaming client moves without need.
MOVE_EVERY = 300


class Load:
    """Shared by the clients of one run."""

    def __init__(self, seed, addresses, call_seconds, flood):
        self.seed, self.addresses, self.call_seconds = seed, addresses, call_seconds
        self.flood = flood
        self.stop = threading.Event()
        self.broken = []
        self.clients = []

    def add(self, kind, name, pinned=None, **more):
        self.clients.append(kind(self, name, pinned, **more))

    def of(self, kind):
        return [client for client in self.clients if isinstance(client, kind)]

    def start(self):
        for client in self.clients:
            client.start()

    def end(self):
        self.stop.set()
        for client in self.clients:
            # One call, one connect and a goodbye.
            client.join(timeout=4 * self.call_seconds + 10)
            if client.is_alive():
                self.broken.append(f"{client.name} does not end")


class Client(threading.Thread):
    session_ms = SESSION_MS
    think_seconds = THINK_SECONDS

    def __init__(self, load, name, pinned):
        super().__init__(name=name, daemon=True)
        self.load = load
        self.dice = random.Random(f"{load.seed} {name}")
        self.addresses = [load.addresses[pinned]] if pinned else list(load.addresses.values())
        self.heard = []
        self.session = Session(self.session_ms, load.call_seconds, self.heard)
        self.count = 0
        self.answer_times = []
        self.unanswered = 0

    def turn(self):
        """One step of what this client does."""
        raise NotImplementedError

    def connected(self):
        """After each connect: what must be done first."""

    def leave(self):
        """At the end, connected or not."""
        self.session.drop()

    def run(self):
        try:
            while not self.load.stop.is_set():
                self.step()
            self.leave()
        except Exception:
            self.load.broken.append(f"{self.name}: {traceback.format_exc()}")
            self.session.drop()

    def step(self):
        try:
            if self.session.socket is None:
                self.session.connect(self.dice.choice(self.addresses))
                self.connected()
            self.turn()
            self.session.listen(self.dice.uniform(0, self.think_seconds))
            if len(self.addresses) > 1 and self.dice.randrange(MOVE_EVERY) == 0:
                self.session.drop()
        except Expired:
            pass
        except Lost:
            self.load.stop.wait(self.dice.uniform(0, AGAIN_SECONDS))

    def unique(self):
        """A value that nobody writes twice."""
        self.count += 1
        return f"{self.name}-{self.count}"

    def ask(self, *requests):
        """Answers of requests sent together. Counts what is not answered."""
        try:
            answers = self.session.calls(requests)
        except Refused:
            self.answer_times.append(time.monotonic())
            raise
        except (Lost, Expired):
            self.unanswered += 1
            raise
        self.answer_times.append(time.monotonic())
        return answers

    def do(self, op, request, refusals=()):
        """A request that an `Op` stands for, with its times. The answer's
        reader, or None where it was refused as foreseen."""
        try:
            ((_, reader),) = self.ask(request)
        except Refused as refused:
            if refused.code not in refusals:
                raise AssertionError(f"{op} was refused with {refused.code}") from refused
            op.ended, op.outcome = time.monotonic(), "refused"
            return None
        op.ended, op.outcome = time.monotonic(), OK
        return reader


SYNC = (jute.SYNC, jute.text("/"))
