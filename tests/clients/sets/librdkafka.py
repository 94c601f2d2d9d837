"""librdkafka's own tests, each in a process of its own: one that hangs or crashes
takes no other with it."""

import os
import re
import subprocess
import time

import install
from kit import HERE, Counts, Failed

QUICK = False
DOOR = "kafka"
# As the tests decide what to ask for.
VERSION = "4.0.0"
# The slowest of them wait for sessions and transactions to end.
TEST_SECONDS = 300
# Of the tests that want no broker.
LOCAL = "TEST_F_LOCAL"
OUT_OF_SCOPE = {
    "0047": "known to its authors as one that fails",
    "0028": "known to its authors as one that fails",
    "0098": "reads what a Java program of Kafka's client has written",
}
# They make topics of three replicas, which one broker refuses, Kafka's too.
OF_THREE_BROKERS = ("0101", "0103", "0107", "0111")
# The scenario in which nobody makes a topic by asking for it.
NO_CREATION = "noautocreate"
# They call scripts of Kafka's distribution; kafka/scripts.py stands in for these.
SCRIPTED = ("0052", "0077", "0109", "0115", "0119")
# They skip themselves where fewer repetitions are asked for.
WHOLE = ("0082",)


def prepare():
    install.librdkafka_tests()
    install.kafka_python()


def run(target, folder, _is_quick):
    tests = install.librdkafka_tests()
    wanted = numbers((tests / "test.c").read_text())
    if only := os.environ.get("DOLMEN_LIBRDKAFKA_TESTS"):
        wanted = {number: names for number, names in wanted.items() if number in only.split(",")}
    # Names of topics are random, so that a test meets nothing of another.
    conf = folder / "test.conf"
    # On a busy machine everything takes longer than where the authors play them.
    lines = ("test.topic.random=true", "test.timeout.multiplier=2")
    conf.write_text("\n".join((f"metadata.broker.list={target.kafka}", *lines)) + "\n")
    scripts(folder / "kafka" / "bin")
    # As the authors' own brokers are set up.
    target.set("kafka.partitions_default", 4)
    counts, took = Counts(), {}
    for number, names in sorted(wanted.items()):
        if number in OUT_OF_SCOPE:
            counts.skipped += len(names)
            counts.notes.append(f"{number}: {OUT_OF_SCOPE[number]}")
            continue
        if number in OF_THREE_BROKERS and target.kafka.count(",") < 2:
            counts.skipped += len(names)
            counts.notes.append(f"{number}: makes topics of three replicas")
            continue
        for scenario in sorted(set(names.values())):
            mine = [name for name, of in names.items() if of == scenario]
            said = folder / f"{number}-{scenario}.said"
            began = time.monotonic()
            target.set("kafka.auto_create_topics", 0 if scenario == NO_CREATION else 1)
            play(counts, tests, environment(target, conf, number), number, scenario, mine, said)
            took[said.stem] = round(time.monotonic() - began)
    if os.environ.get("DOLMEN_KEEP") == "1":
        print(f"  slowest {sorted(took.items(), key=lambda one: -one[1])[:15]}")
    return counts


def numbers(source):
    """The tests that need a broker, by their number: their names, each with the
    scenario in which it is played."""
    table = source[source.index("struct test tests[] = {") :]
    table = table[: table.index("/* Manual tests */")]
    found = {}
    for entry in re.split(r"\b_TEST\(", table)[1:]:
        name = entry.split(",")[0].strip()
        if LOCAL in entry or name.endswith("_mock"):
            continue
        scenario = re.search(r'\.scenario\s*=\s*"([^",]+)', entry)
        found.setdefault(name[:4], {})[name] = scenario[1] if scenario else "default"
    if not found:
        raise Failed("no test is named in librdkafka's test.c")
    return found


def scripts(folder):
    folder.mkdir(parents=True)
    for script in ("topics", "acls"):
        path = folder / f"kafka-{script}.sh"
        program = f"{install.kafka_python()} {HERE / 'kafka' / 'scripts.py'} {script}"
        path.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
        path.chmod(0o755)


def environment(target, conf, number):
    tests = install.librdkafka_tests()
    found = {
        **os.environ,
        "RDKAFKA_TEST_CONF": str(conf),
        "TEST_KAFKA_VERSION": VERSION,
        "TESTS": number,
        "LD_LIBRARY_PATH": f"{tests.parent / 'src'}:{tests.parent / 'src-cpp'}",
    }
    if number in SCRIPTED:
        found |= {"KAFKA_PATH": str(conf.parent / "kafka"), "BROKERS": target.kafka}
    return found


def play(counts, tests, environment, number, scenario, names, said):
    # -L: none that needs no broker; -Q: fewer repetitions. A failed one ends by
    # abort, and its verdict is lost unless each line is written at once.
    command = ["stdbuf", "-oL", "./test-runner", "-p1", "-L", "-s", scenario]
    command += [] if number in WHOLE else ["-Q"]
    with open(said, "w") as out:
        runner = subprocess.Popen(
            command,
            cwd=tests,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            ended = f"the runner ended with {runner.wait(TEST_SECONDS)}"
        except subprocess.TimeoutExpired:
            ended = f"no end after {TEST_SECONDS} s"
        finally:
            runner.kill()
            runner.wait()
    text = re.sub(r"\x1b\[[0-9;]*m", "", said.read_text(errors="replace"))
    verdicts = rows(text)
    for name in names:
        verdict, why = verdicts.get(name, (None, ""))
        if verdict == "SKIPPED":
            counts.skipped += 1
            counts.notes.append(f"{name}: {why or reason(text)}")
        elif verdict is None:
            counts.check(False, f"{name}: no verdict, {ended}: {last(text)}")
        else:
            counts.check(verdict == "PASSED", f"{name}: {why or last(text)}")


def rows(text):
    """Each test's verdict and what is said of it. <MAIN> is no test."""
    found = re.findall(r"^\|\s+(\d{4}_\w+)\s+\|\s+(\w+)\s+\|[^|]*\|[ \t]*(.*)$", text, re.MULTILINE)
    return {name: (verdict, " ".join(why.split())[:300]) for name, verdict, why in found}


def reason(text):
    found = re.findall(r"SKIPPING TEST:? *(.*)", text) or re.findall(r"[Ss]kip\w*:? (.*)", text)
    return found[-1].strip()[:200] if found else "it does not say why"


def last(text):
    lines = [
        line for line in text.splitlines() if "FAIL" in line or "rror" in line or "ssert" in line
    ]
    return " | ".join((lines or text.splitlines())[-2:])[-300:]
