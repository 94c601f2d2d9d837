"""What was acknowledged is there after brokers were killed and after they were
stopped: records by their offsets, and a group's committed offsets."""

import json
import os
import signal
import subprocess
import time

import install
from kit import HERE, Counts, Failed, Process, open_port, wait_for

QUICK = True
DOOR = "kafka"
PROGRAM = HERE / "kafka" / "restart.py"
WRITE_SECONDS = 6
READ_SECONDS = 240
CREATE = """\
import sys
from confluent_kafka.admin import AdminClient, NewTopic
new = NewTopic(sys.argv[2], 4, int(sys.argv[3]), config={"min.insync.replicas": sys.argv[4]})
admin = AdminClient({"bootstrap.servers": sys.argv[1]})
admin.create_topics([new])[sys.argv[2]].result(60)
"""


def prepare():
    install.kafka_python()


def run(target, folder, is_quick):
    counts = Counts()
    if not target.keeps:
        counts.skipped, counts.notes = 1, [f"{target.name} keeps nothing when it ends"]
        return counts
    copies = min(3, len(target.nodes))
    topic, group = "survives", "survives"
    create = [install.kafka_python(), "-c", CREATE, target.kafka, topic, copies, copies // 2 + 1]
    done = subprocess.run(
        [str(part) for part in create], capture_output=True, text=True, timeout=90
    )
    if done.returncode != 0:
        raise Failed(f"no topic to write to: {done.stderr.strip()[-300:]}")
    acknowledged = folder / "acknowledged"
    acknowledged.touch()
    arguments = [target.kafka, topic, group, acknowledged]
    # Again and again: what a restart has read back is written to and read back.
    for _ in range(1 if is_quick else 3):
        for what, end in (
            ("killed", all_killed),
            ("stopped", all_stopped),
            ("one killed", one_killed),
        ):
            writer = Writer(arguments, folder / "writer")
            try:
                end(target)
                # It goes on once they are back, with what it had not heard of.
                started(target)
                time.sleep(WRITE_SECONDS / 2)
            finally:
                writer.end()
            judge(counts, what, arguments)
    return counts


class Writer:
    """The program that writes, for a while already."""

    def __init__(self, arguments, log):
        command = [install.kafka_python(), PROGRAM, "write", *arguments]
        self.process = Process(command, log, stdin=subprocess.PIPE)
        file = arguments[-1]
        before = len(file.read_text().splitlines())
        written = lambda: self.alive() and len(file.read_text().splitlines()) > before + 500
        wait_for("five hundred acknowledgements", written, 60)
        time.sleep(WRITE_SECONDS)

    def alive(self):
        if not self.process.running():
            raise Failed(f"the writer ended: {self.process.tail()}")
        return True

    def end(self):
        self.process.child.stdin.close()
        try:
            self.process.child.wait(120)
        except subprocess.TimeoutExpired:
            os.kill(self.process.pid, signal.SIGUSR1)
            stands = lambda: "most recent call first" in self.process.said()
            wait_for("the writer says where it stands", stands, 10)
            self.process.kill()
            raise Failed(f"the writer does not end: {self.process.tail(20)}") from None


def all_killed(target):
    for node in target.nodes:
        node.kill()


def all_stopped(target):
    for node in target.nodes:
        node.stop()


def one_killed(target):
    target.nodes[0].kill()


def started(target):
    for node in target.nodes:
        node.start()
    for node in target.nodes:
        wait_for(f"broker {node.number} is back", lambda: open_port(node.kafka))


def judge(counts, what, arguments):
    command = [install.kafka_python(), PROGRAM, "read", *arguments]
    try:
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=READ_SECONDS,
        )
    except subprocess.TimeoutExpired:
        counts.check(False, f"{what}: not read after {READ_SECONDS} s")
        return
    if done.returncode != 0:
        counts.check(False, f"{what}: reading fails: {done.stderr.strip()[-300:]}")
        return
    found = json.loads(done.stdout)
    counts.check(found["acknowledged"] > 500, f"{what}: only {found['acknowledged']} acknowledged")
    lost = f"{what}: {found['lost_count']} of {found['acknowledged']} records lost, {found['lost']}"
    counts.check(found["lost_count"] == 0, lost)
    counts.check(not found["other"], f"{what}: other records stand at {found['other']}")
    counts.check(found["twice"] == 0, f"{what}: {found['twice']} records are there twice")
    counts.check(
        found["disordered"] == 0, f"{what}: {found['disordered']} records are out of order"
    )
    back = f"{what}: commits went back, found and acknowledged: {found['commits_back']}"
    counts.check(found["commits"] > 0 and not found["commits_back"], back)
