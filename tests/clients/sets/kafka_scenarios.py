"""Programs of ours with five clients of Kafka, each asking for what its users rely
on. A program prints a line a scenario, which are counted here."""

import re
import subprocess

import install
from kit import HERE, Counts, Failed

QUICK = True
DOOR = "kafka"
PROGRAM_SECONDS = 2400


def prepare():
    install.kafka_python()
    install.node_modules()
    install.debian("kcat")


def programs(target, is_quick):
    if not target.makes_topics:
        return {
            "confluent": [
                "env",
                "SCENARIOS_MAKE_NO_TOPICS=1",
                install.kafka_python(),
                HERE / "kafka" / "confluent.py",
            ],
            "kcat": [install.kafka_python(), HERE / "kafka" / "kcat.py"],
        }
    # It is built first, of the same C library as confluent's.
    rust = {} if is_quick else {"rdkafka": [install.rdkafka_scenarios()]}
    return {
        **rust,
        "confluent": [install.kafka_python(), HERE / "kafka" / "confluent.py"],
        "aiokafka": [install.kafka_python(), HERE / "kafka" / "aio.py"],
        "kafkajs": [
            "env",
            f"NODE_PATH={install.node_modules()}",
            "KAFKAJS_NO_PARTITIONER_WARNING=1",
            "node",
            HERE / "kafka" / "kafkajs.js",
        ],
        "kcat": [install.kafka_python(), HERE / "kafka" / "kcat.py"],
    }


def run(target, folder, is_quick):
    counts = Counts()
    for client, command in programs(target, is_quick).items():
        said = folder / f"{client}.said"
        command = [*command, target.kafka, "quick" if is_quick else "full"]
        played(counts, client, command, said)
    return counts


def played(counts, client, command, said):
    """Counts what a program prints; one that does not say how many it played has
    failed, whatever it said before."""
    with open(said, "w") as errors:
        try:
            done = subprocess.run(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                timeout=PROGRAM_SECONDS,
            )
            printed = done.stdout
        except subprocess.TimeoutExpired as late:
            printed = (late.stdout or b"").decode(errors="replace")
    lines = printed.splitlines()
    found = [line for line in lines if line.startswith(("ok ", "FAILED "))]
    for line in found:
        counts.check(line.startswith("ok "), f"{client}: {line.removeprefix('FAILED ')}")
    ends = re.search(r"^played (\d+)$", printed, re.MULTILINE)
    if not ends or int(ends[1]) != len(found) or not found:
        raise Failed(f"{client} ended early, after {lines[-1:]}: {said.read_text()[-300:]}")
