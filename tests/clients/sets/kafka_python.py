"""kafka-python's own integration tests from its source distribution, against
brokers that run already."""

import json

import install
from kit import HERE, Counts, Failed, Process

QUICK = True
DOOR = "kafka"
# As its authors play it: a test of theirs wants all six partitions in one answer.
NODES = [1]
# Of the brokers, as the suite decides what to ask for.
VERSION = "4.1.0"
SUITE_SECONDS = 1500
TEST_SECONDS = 120


def prepare():
    install.kafka_python_source()


def run(target, folder, _is_quick):
    source, report = install.kafka_python_source(), folder / "report.json"
    place = folder / "kafka-python"
    place.mkdir()
    environment = {
        "PYTHONPATH": f"{source}:{HERE}",
        "DOLMEN_KAFKA_PYTHON": str(source),
        "PYTHONDONTWRITEBYTECODE": "1",
        # The suite names one broker and learns of the others.
        "KAFKA_URI": f"kafka://{target.kafka.split(',')[0]}",
        "KAFKA_VERSION": VERSION,
        # Where Kafka's own distribution would be; it has to be there.
        "KAFKA_ROOT": str(place),
        "DOLMEN_PYTEST_REPORT": str(report),
    }
    command = [install.kafka_python(), "-m", "pytest", "-q", "-p", "kafka_python_plugin"]
    command += ["-p", "no:cacheprovider", "-o", "log_level=INFO", "-o", "addopts=--tb=short"]
    command += ["--rootdir", source, "--timeout", TEST_SECONDS, source / "test" / "integration"]
    # It asks for sessions of 3 s, and its own harness sets this.
    target.set("kafka.group_session_min_ms", 1000)
    # It gives a group two seconds from its first word to its first record, and
    # Kafka's own file of settings for such trials has this.
    target.set("kafka.group_first_rebalance_ms", 0)
    process = Process(command, folder / "kafka-python.out", environment, place)
    try:
        process.child.wait(SUITE_SECONDS)
    except Exception:
        process.kill()
        raise Failed(f"no end after {SUITE_SECONDS} s: {process.tail()}") from None
    if not report.exists():
        raise Failed(f"no report: {process.tail()}")
    found = json.loads(report.read_text())
    if found["passed"] + len(found["failed"]) == 0:
        raise Failed(f"no test was played: {process.tail()}")
    return Counts(found["passed"], len(found["skipped"]), found["failed"], found["skipped"])
