"""kazoo's own suite from its source distribution. Its Java ensemble is replaced
by the target's servers (see kazoo_plugin.py); the tests that stop servers or
change the ensemble come last and alone (the quick run leaves them out), the
others in parallel shards."""

import json
import os
import socket
import threading

import install
from kit import HERE, Counts, Failed, Process

QUICK = True
# On the same port as without, where the target can.
TLS = True
# The tests mostly wait, so that three of them fit on two cores.
SHARDS = 3
SHARD_SECONDS = 900


def prepare():
    install.kazoo_source()


def run(target, folder, is_quick):
    counts = Counts()
    with Hooks(target, folder / "hooks"):
        shards = [f"{i}/{SHARDS}" for i in range(SHARDS)]
        for phase in [shards] if is_quick else [shards, ["alone"]]:
            playing = [Shard(target, folder, name) for name in phase]
            try:
                for shard in playing:
                    counts.add(shard.result())
            finally:
                for shard in playing:
                    shard.process.kill()
    return counts


def tls_of(target):
    """What a client of the target shows and trusts, in the words of kazoo's
    harness; None where the target speaks no TLS."""
    made = getattr(target, "certificates", None)
    if made is None:
        return None
    files = {"client_key": "client.key", "client_cert": "client.pem", "ca_cert": "ca.pem"}
    return {name: made.text(file) for name, file in files.items()}


class Shard:
    """One pytest over a part of the suite."""

    def __init__(self, target, folder, name):
        self.name, label = name, name.replace("/", "of")
        self.report = folder / f"report-{label}.json"
        plan = {
            "target": target.name,
            "servers": [node.address for node in target.nodes],
            "hooks": str(folder / "hooks"),
            "shard": name,
            "report": str(self.report),
            "tls": tls_of(target),
        }
        place = folder / f"kazoo-{label}"
        place.mkdir()
        environment = {
            "DOLMEN_KAZOO_PLAN": json.dumps(plan),
            "PYTHONPATH": f"{install.kazoo_source()}:{HERE}",
            "PYTHONDONTWRITEBYTECODE": "1",
            # With `CI` the suite also checks that the servers state this version,
            # so that it is the same suite on every machine.
            "CI": "true",
            "ZOOKEEPER_VERSION": target.version,
        }
        command = [install.python(), "-m", "pytest", "-q", "-p", "kazoo_plugin"]
        command += ["-p", "no:cacheprovider", "-o", "log_cli=false", "-o", "addopts=--tb=short"]
        command += ["--rootdir", install.kazoo_source(), "--timeout", "180"]
        command += [install.kazoo_source() / "kazoo" / "tests"]
        self.process = Process(command, folder / f"kazoo-{label}.out", environment, place)

    def result(self):
        try:
            self.process.child.wait(SHARD_SECONDS)
        except Exception:
            self.process.kill()
            raise Failed(f"shard {self.name} took longer than {SHARD_SECONDS} s") from None
        if not self.report.exists():
            raise Failed(f"shard {self.name} left no report: {self.process.tail()}")
        found = json.loads(self.report.read_text())
        if os.environ.get("DOLMEN_KEEP") == "1":
            print(f"  shard {self.name}: slowest {found['slowest']}")
        return Counts(found["passed"], len(found["skipped"]), found["failed"], found["skipped"])


class Hooks:
    """Stops and starts servers for a suite that runs in another process: lines
    `stop I` and `start I` over a socket, answered when done."""

    def __init__(self, target, path):
        self.target = target
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()

    def __exit__(self, *_):
        self.listener.close()

    def _serve(self):
        while True:
            try:
                caller, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(caller,), daemon=True).start()

    def _answer(self, caller):
        with caller, caller.makefile("rw") as lines:
            what, which = lines.readline().split()
            node = self.target.nodes[int(which)]
            try:
                node.stop() if what == "stop" else node.start()
                lines.write("done\n")
            except Exception as why:
                lines.write(f"failed: {why}\n")
            lines.flush()
