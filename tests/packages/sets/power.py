"""The package on a machine with a kernel of its own: the threads have the classes
that the shipped unit grants, io_uring serves, and what was acknowledged outlives
the power cut: znodes, and records of the event log. Of a topic that asks for no
sync the same cuts report what was lost."""

import json
import re
from pathlib import Path

import tools
from box import CACHE, locked, root
from kit import wait_for
from machine import Machine
from packs import run as command
from packs import this_version

QUICK = False

CUTS = 3
RECORD_CUTS = 5
# Acknowledged since the last cut before the power goes again, and one more of
# these for each: no two cuts at the same place.
RECORDS_AT_LEAST = 60
BROKER = "127.0.0.1:9092"
# By topic: its settings, and when a record of it is acknowledged.
DURABLE, RELAXED = "durable", "relaxed"
TOPICS = {DURABLE: ("", -1), RELAXED: ("durability=replicated", 1)}
HERE = Path(__file__).resolve().parent
LOAD = [HERE.parent / "records_load.py", HERE.parents[1] / "clients" / "kafka" / "raw.py"]
# What `LOAD` needs and a bare Debian has not.
PYTHON = ["python3.11-minimal", "libpython3.11-minimal", "libexpat1"]
# Of each thread by its name: the scheduler's policy, and the nice value where
# the policy has one. Policies: 0 ordinary, 1 real-time (FIFO), 5 idle.
CLASSES = {"replica": (1, None), "log": (1, None), "zookeeper": (0, 0), "vigil": (5, None)}


def run(counts, folder, packs, is_quick):
    tools.need({"qemu-system-x86_64": "qemu-system-x86", "mkfs.ext4": "e2fsprogs"})
    check = counts.check
    deb = packs.outside("deb", this_version())
    machine = Machine(folder, "vm", root(), [deb, *LOAD, *python_debs()])
    try:
        machine.boot()
        machine.say(f"apt-get install -y /packages/{deb.name}")
        said = machine.say("systemctl is-active dolmen || journalctl -u dolmen -n 8 -o cat --no-pager", check=False)
        check(said.out == "active", f"the unit is not active: {said.out}")
        classes(counts, machine)
        engine = with_engine(machine, "uring")
        check(engine == "uring", f"asked for io_uring it runs on {engine}")
        said = machine.say("dolmen doctor", check=False).out
        line = next((one for one in said.splitlines() if " threads " in one), "")
        check(line.startswith("ok"), f"doctor says of the threads: {line}")
        tunes(counts, machine)
        cuts(counts, machine)
        record_cuts(counts, machine)
    finally:
        machine.end()


def classes(counts, machine):
    """Field 41 of a thread's stat is its policy, field 19 its nice value."""
    said = machine.say(
        "for t in /proc/$(systemctl show -P MainPID dolmen)/task/*; do echo $(cat $t/comm) $(sed 's/.*) //' $t/stat); done"
    ).out
    found = {}
    for line in said.splitlines():
        name, *fields = line.split()
        # The sed has taken the first two.
        found[name] = (int(fields[38]), int(fields[16]))
    for name, (policy, nice) in CLASSES.items():
        has = found.get(name, (None, None))
        as_wanted = has[0] == policy and (nice is None or has[1] == nice)
        counts.check(as_wanted, f"thread {name} has policy and nice {has}, of {found}")
    counts.notes.append(f"threads, as policy and nice: {found}")


def tunes(counts, machine):
    """The kernel's settings by the shipped unit: set, looked at, and put back."""
    watched = "cat /proc/sys/vm/swappiness /proc/sys/net/core/rmem_max /sys/class/block/nvme0n1/queue/scheduler"
    before = machine.say(watched).out
    wanted = "swappiness = 7\\nsocket_buffers_kib = 4096"
    machine.say(f"sed -i 's/^\\[tune\\]$/&\\n{wanted}/' /etc/dolmen/dolmen.toml")
    said = machine.say("systemctl start dolmen-tune", check=False)
    if said.status != 0:
        said = machine.say("journalctl -u dolmen-tune -n 20 -o cat --no-pager", check=False)
    now = machine.say(watched).out
    counts.check(now.split()[:2] == ["7", str(4096 << 10)], f"dolmen-tune leaves {now.split()}: {said.out}")
    verified = machine.say("dolmen tune verify", check=False)
    counts.check(verified.status == 0, f"dolmen tune verify says {verified.out}")
    machine.say("systemctl stop dolmen-tune")
    after = machine.say(watched).out
    counts.check(after == before, f"before dolmen-tune {before.split()}, behind it {after.split()}")
    counts.notes.append(f"dolmen-tune: {before.split()}, then {now.split()}, and back")


def with_engine(machine, engine):
    machine.say(
        "mkdir -p /etc/systemd/system/dolmen.service.d && "
        f"printf '[Service]\\nEnvironment=DOLMEN_LOG_ENGINE={engine}\\n' > /etc/systemd/system/dolmen.service.d/test.conf"
        " && systemctl daemon-reload && systemctl restart dolmen"
    )
    return json.loads(machine.say("dolmen status --json").out)["log"]["engine"]


def cuts(counts, machine):
    """A writer says each znode on the console once it is acknowledged; then the
    power goes."""
    acknowledged = 0
    for cut in range(CUTS):
        console = machine.folder / "console"
        machine.say(
            f"systemd-run --collect --unit=writer bash -c 'i={acknowledged};"
            " while dolmen zk create /cut-$i $i >/dev/null; do echo acked $i > /dev/ttyS0; i=$((i + 1)); done'"
        )

        def said():
            return [int(one) for one in re.findall(r"acked (\d+)\r?\n", console.read_text(errors="replace"))]

        wait_for("some writes are acknowledged", lambda: len(said()) >= 10 + 7 * cut, 120)
        machine.pull_the_plug()
        told = max(said())
        machine.boot()
        wait_for(
            "the node serves after the cut",
            lambda: machine.say("systemctl is-active dolmen", check=False).out == "active",
            60,
            1,
        )
        there = set(machine.say("dolmen zk ls /").out.split())
        lost = [number for number in range(told + 1) if f"cut-{number}" not in there]
        counts.check(not lost, f"after cut {cut + 1}, {len(lost)} of {told + 1} acknowledged are gone: {lost[:5]}")
        # One more may have been written and not acknowledged.
        acknowledged = 1 + max(int(one[4:]) for one in there if one.startswith("cut-"))
    counts.notes.append(f"{CUTS} power cuts under a writer, {acknowledged} znodes, none lost")


def python_debs():
    """Kept, as the kernel is: the machine has no network to fetch them by."""
    folder = CACHE / "python"
    with locked(CACHE / "python.lock"):
        if len(list(folder.glob("*.deb"))) != len(PYTHON):
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.glob("*.deb"):
                old.unlink()
            command(["apt-get", "download", "-qq", *PYTHON], cwd=folder)
    return sorted(folder.glob("*.deb"))


class Records:
    """One topic and its producer, over all cuts."""

    def __init__(self, machine, topic):
        self.machine, self.topic = machine, topic
        self.settings, self.acks = TOPICS[topic]
        self.next = 0
        self.producer = self.load("make", topic, self.settings)

    def load(self, *words):
        said = " ".join(str(word) for word in words)
        verb, rest = said.split(" ", 1)
        return self.machine.say(f"python3.11 /packages/records_load.py {verb} {BROKER} {rest}").out.strip()

    def write(self):
        words = f"write {BROKER} {self.topic} {self.acks} {self.producer} {self.next} /dev/ttyS0"
        unit = f"systemd-run --collect --unit=writer-{self.topic}"
        self.machine.say(f"{unit} python3.11 /packages/records_load.py {words}")

    def acked(self):
        """Offset by number, as the console has it since the machine was up."""
        said = (self.machine.folder / "console").read_text(errors="replace")
        found = re.findall(rf"acked {self.topic} (\d+) (\d+)\r?\n", said)
        return {int(number): int(offset) for number, offset in found}

    def there(self):
        pairs = [one.split(":") for one in self.load("read", self.topic).split()]
        return [(int(offset), int(number)) for offset, number in pairs]


def record_cuts(counts, machine):
    """Both topics are written to when the power goes. The producers go on with
    their numbers: where the last one before the cut was kept, it is known again."""
    machine.say("dpkg -i /packages/*python3*.deb /packages/libexpat1*.deb")
    records = {topic: Records(machine, topic) for topic in TOPICS}
    acked = {topic: {} for topic in TOPICS}
    lost_relaxed = []
    for cut in range(RECORD_CUTS):
        for one in records.values():
            one.write()
        durable = records[DURABLE]
        wanted = RECORDS_AT_LEAST + 7 * cut
        # Of both, and the one that was begun last may be the later for seconds.
        some = lambda: all(len(one.acked()) >= wanted for one in records.values())
        wait_for("some records of each are acknowledged", some, 300)
        machine.pull_the_plug()
        for topic, one in records.items():
            acked[topic].update(one.acked())
        machine.boot()
        wait_for(
            "the node serves after the cut",
            lambda: machine.say("systemctl is-active dolmen", check=False).out == "active",
            60,
            1,
        )
        there = durable.there()
        kept = dict(there)
        lost = [number for number, offset in acked[DURABLE].items() if kept.get(offset) != number]
        counts.check(not lost, f"after cut {cut + 1}, {len(lost)} of {len(acked[DURABLE])} acknowledged records are gone or elsewhere: {lost[:5]}")
        numbers = [number for _, number in there]
        counts.check(numbers == list(range(len(numbers))), f"after cut {cut + 1} the numbers do not go on: {numbers[-5:]}")
        durable.next = 1 + max(acked[DURABLE])
        lost_relaxed.append(relaxed(records[RELAXED], acked[RELAXED]))
    counts.notes.append(f"{RECORD_CUTS} power cuts under acks=all, {len(acked[DURABLE])} records, none lost")
    counts.notes.append(f"{RECORD_CUTS} power cuts without a sync, acknowledged and lost: {', '.join(lost_relaxed)}")


def relaxed(records, acked):
    """What was lost is said and is no failure. Its producer is behind its
    numbers then, and another begins on what is there."""
    kept = dict(records.there())
    lost = sum(1 for number, offset in acked.items() if kept.get(offset) != number)
    told = f"{len(acked)} and {lost}"
    acked.clear()
    records.producer = records.load("make", records.topic, records.settings)
    records.next = 0
    return told
