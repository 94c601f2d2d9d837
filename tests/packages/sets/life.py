"""One box: installed, used, hurt, rebooted, removed and installed again, as by
the one who owns it."""

import json
import os
import subprocess
import time

import install as clients
from box import Box, root
from kit import wait_for
from packs import this_version
from secrets_planted import Planted

QUICK = True

ACTIVE_SECONDS = 3
COLD_START_MS = 500
DEMO_SECONDS = 30
STATE = "systemctl is-active dolmen"


def run(counts, folder, packs, is_quick):
    planted = Planted(folder)
    box = Box(folder, "one", root(), packs.folder, disk=True)
    try:
        box.boot()
        life = Life(counts, box, packs, planted)
        life.installs()
        life.serves_its_own_host_alone()
        life.answers_the_admin_group()
        life.starts_cold()
        life.tours()
        life.comes_back_after_a_kill()
        life.comes_back_after_a_hang()
        life.tells_the_journal()
        life.keeps_its_secrets()
        life.runs_on_io_uring()
        life.runs_without_io_uring()
        life.says_what_is_wrong_with_its_settings()
        life.survives_the_night()
        life.is_removed_and_comes_back()
        life.kept_no_secret()
    finally:
        box.end()


class Life:
    def __init__(self, counts, box, packs, planted):
        self.counts, self.box, self.packs, self.planted = counts, box, packs, planted
        self.check = counts.check
        self.deb = packs.deb(this_version())

    def installs(self):
        box = self.box
        before = self._packages()
        box.say(f"apt-get install -y {self.deb}")
        self.check(box.say(STATE, check=False).out == "active", "the unit is active after the installation")
        took = self._start_ms()
        self.check(took <= 1000 * ACTIVE_SECONDS, f"the first start takes {took:.0f} ms")
        self.counts.notes.append(f"first start, with a new data folder: {took:.0f} ms")
        self.check(box.say("systemctl is-enabled dolmen", check=False).out == "enabled", "dolmen is enabled")
        tune = box.say("systemctl is-enabled dolmen-tune", check=False).out
        self.check(tune == "disabled", f"dolmen-tune is {tune}")
        self.check(self._brought_nothing(before), "the package alone was installed")
        files = box.say("dpkg -L dolmen").out.splitlines()
        strange = [one for one in files if not one.startswith(("/usr", "/etc/dolmen", "/etc")) and one != "/."]
        self.check(not strange, f"files at {strange}")
        self.check(box.say("dpkg-query -W -f '${Conffiles}' dolmen").out.split()[0] == "/etc/dolmen/dolmen.toml",
                   "dolmen.toml is the conffile")
        size = int(box.say("dpkg-query -W -f '${Installed-Size}' dolmen").out)
        self.counts.notes.append(f"installed: {size} KiB")

    def _packages(self):
        return set(self.box.say("dpkg-query -W -f '${Package}\\n'").out.split())

    def _brought_nothing(self, before):
        return self._packages() - before == {"dolmen"}

    def serves_its_own_host_alone(self):
        box = self.box
        # The first connection behind a start is answered.
        said = box.say("systemctl stop dolmen && systemctl start dolmen && dolmen zk ls /")
        self.check("zookeeper" in said.out, f"zk ls / behind a start says {said.all}")
        listens = box.say("ss -Hltnu").out.splitlines()
        abroad = [line for line in listens if not line.split()[4].startswith(("127.0.0.1:", "[::1]:"))]
        self.check(listens and not abroad, f"it listens beyond loopback: {abroad}")
        box.say("dolmen zk create /kept 'through everything'")

    def answers_the_admin_group(self):
        box = self.box
        box.say("useradd -m keeper && usermod -aG dolmen keeper && useradd -m stranger")
        said = box.say("dolmen status", user="keeper", check=False)
        self.check(said.status == 0 and "serving" in said.out, f"a member of the group is told {said.all}")
        said = box.say("dolmen status", user="stranger", check=False)
        self.check(said.status == 1 and "group" in said.err, f"a stranger is told {said.all}")
        self.check(len(said.all.splitlines()) == 1, f"in more than a line: {said.all}")

    def starts_cold(self):
        """With the unit's own check of the settings in front."""
        took = []
        for _ in range(5):
            self.box.restart()
            took.append(self._start_ms())
        took.sort()
        self.check(took[2] <= COLD_START_MS, f"a start takes {took[2]:.0f} ms")
        self.counts.notes.append(f"start of the unit to READY, five times: {', '.join(f'{one:.0f}' for one in took)} ms")

    def _start_ms(self):
        names = "InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic"
        shown = self.box.show("dolmen", *names)
        return (int(shown[names[1]]) - int(shown[names[0]])) / 1000

    def tours(self):
        began = time.monotonic()
        said = self.box.say("dolmen demo", check=False)
        took = time.monotonic() - began
        self.check(said.status == 0, f"dolmen demo says {said.all[-400:]}")
        self.check(took < DEMO_SECONDS, f"dolmen demo takes {took:.1f} s")
        self.counts.notes.append(f"dolmen demo: {took:.1f} s")

    def comes_back_after_a_kill(self):
        box = self.box
        before = box.show("dolmen", "MainPID", "NRestarts")
        box.say(f"kill -9 {before['MainPID']}")
        self._until_another(before)
        after = box.show("dolmen", "NRestarts")
        self.check(int(after["NRestarts"]) == int(before["NRestarts"]) + 1, f"restarted {after} times")
        self._still_there("a kill")

    def comes_back_after_a_hang(self):
        """A process that does nothing any more is ended by the watchdog."""
        box = self.box
        before = box.show("dolmen", "MainPID")
        began = time.monotonic()
        box.say(f"kill -STOP {before['MainPID']}")
        self._until_another(before)
        self.counts.notes.append(f"a hang, until it serves again: {time.monotonic() - began:.1f} s")
        said = box.say("journalctl -u dolmen --no-pager").out
        self.check("watchdog" in said.lower(), "the journal tells of the watchdog")
        self._still_there("a hang")

    def _until_another(self, before):
        def is_another():
            now = self.box.show("dolmen", "MainPID", "ActiveState")
            return now["ActiveState"] == "active" and now["MainPID"] not in ("0", before["MainPID"])

        wait_for("another process serves", is_another, 60)

    def _still_there(self, after):
        said = self.box.say("dolmen zk get /kept", check=False)
        self.check(said.out == "through everything", f"after {after} /kept says {said.all}")

    def tells_the_journal(self):
        lines = self.box.say("journalctl -u dolmen -o json --no-pager").out.splitlines()
        ours = [one for one in map(json.loads, lines) if one.get("SYSLOG_IDENTIFIER") == "dolmen"]
        wanted = ("PRIORITY", "CODE_FILE", "CODE_LINE", "TARGET", "MESSAGE")
        whole = [one for one in ours if all(name in one for name in wanted)]
        self.check(whole, "the journal has entries with " + " ".join(wanted))
        self.check(any(name.startswith("F_") for one in whole for name in one), "fields of our own are in it")

    def keeps_its_secrets(self):
        """What an operator supplies comes by credentials, which only the service
        reads; what the daemon makes is 0600."""
        box, planted = self.box, self.planted
        # A box by itself has no interface that `init` could name it by.
        said = box.say("dolmen init", check=False)
        self.check(said.status == 1 and "peers.advertise" in said.err, f"without a network init says {said.all}")
        box.say("ip addr add 10.98.0.1/32 dev lo && dolmen init")
        modes = box.say("find /var/lib/dolmen/tls -type f -printf '%m %u %f\\n'").out.splitlines()
        self.check(modes and all(one.startswith("600 dolmen ") for one in modes), f"keys are {modes}")
        self.check(box.say("cat /var/lib/dolmen/tls/node.pem", user="keeper", check=False).status != 0,
                   "a member of the group reads the node's key")
        planted.take_keys(box.say("cat /var/lib/dolmen/tls/*").out)
        self.check(len(planted.keys) >= 2, f"{len(planted.keys)} lines of private keys in the node's files")
        planted.token = box.say("dolmen token create --json | grep -o 'dolmen1[^\"]*'").out
        box.say(f"install -m 0600 /dev/null /root/users && echo '{planted.user}:{planted.password}' > /root/users")
        box.say(
            "mkdir -p /etc/systemd/system/dolmen.service.d && printf '[Service]\\nLoadCredential=users:/root/users\\n'"
            " > /etc/systemd/system/dolmen.service.d/secrets.conf"
        )
        box.settle(
            doors__zookeeper__sasl_users_file="/run/credentials/dolmen.service/users",
            doors__zookeeper__super_digest=planted.super_digest,
        )
        box.restart()
        said = box.say("cat /run/credentials/dolmen.service/users", user="keeper", check=False)
        self.check(said.status != 0, "a member of the group reads a credential")
        said = self._python(
            "from kazoo.client import KazooClient as K\n"
            f"c = K('127.0.0.1:2181', sasl_options={{'mechanism': 'DIGEST-MD5', 'username': {planted.user!r},"
            f" 'password': {planted.password!r}}})\n"
            "c.start(timeout=20); c.create('/sasl', b'by credential'); print(c.get('/sasl')[0].decode()); c.stop()\n"
        )
        self.check(said.endswith("by credential"), f"a user of the credential's file is told {said}")
        wrong = box.say("dolmen zk ls / --auth digest:super:wrong", check=False)
        right = box.say(f"dolmen zk set /dolmen/config/zookeeper.connections_max 4000"
                        f" --auth digest:super:{planted.super_password}", check=False)
        self.check(right.status == 0, f"super is told {right.all}")
        self.check(planted.super_password not in wrong.all + right.all, "the password is in an answer")

    def _python(self, program):
        """A client of this machine, in the box's network."""
        command = ["nsenter", "-t", str(self.box.leader), "-n", clients.python(), "-c", program]
        done = subprocess.run([str(one) for one in command], capture_output=True, text=True, timeout=90)
        return (done.stdout + done.stderr).strip()

    def runs_on_io_uring(self):
        """The same directives, and the engine that `auto` may not choose here
        for its speed."""
        engine = self._engine_with("Environment=DOLMEN_LOG_ENGINE=uring")
        self.check(engine == "uring", f"asked for io_uring it runs on {engine}")

    def runs_without_io_uring(self):
        engine = self._engine_with("SystemCallFilter=~@aio\nSystemCallErrorNumber=EPERM")
        self.check(engine == "threads", f"without io_uring it runs on {engine}")
        said = self.box.say(
            "systemd-run -q --pipe --wait -p SystemCallFilter=~@aio -p SystemCallErrorNumber=EPERM dolmen doctor",
            check=False,
        )
        line = next((one for one in said.out.splitlines() if "io_uring" in one), "")
        self.check("not permitted" in line or "EPERM" in line or "refused" in line, f"doctor says {line!r}")
        self._engine_with("")

    def _engine_with(self, lines):
        """The engine that serves under a drop-in."""
        path = self.box.file("/etc/systemd/system/dolmen.service.d/test.conf")
        path.write_text(f"[Service]\n{lines}\n")
        self.box.restart()
        status = json.loads(self.box.say("dolmen status --json").out)
        return status["log"]["engine"] if status["state"] == "serving" else status["state"]

    def says_what_is_wrong_with_its_settings(self):
        box = self.box
        path = box.file("/etc/dolmen/dolmen.toml")
        good = path.read_text()
        path.write_text(good.replace("[log]\n", "[log]\nsegmnt_mib = 64\n"))
        line = good.splitlines().index("[log]") + 2
        said = box.say("dolmen check-config /etc/dolmen/dolmen.toml", check=False)
        self.check(said.status == 1 and f"dolmen.toml:{line}:1" in said.all, f"check-config says {said.all}")
        said = box.say("systemctl reload dolmen; dolmen status", check=False)
        self.check("serving" in said.out, f"behind a reload with a broken file status says {said.all}")
        path.write_text(good)

    def survives_the_night(self):
        """The button, and then the plug."""
        box = self.box
        for how in (box.power_off, box.pull_the_plug):
            how()
            box.boot()
            wait_for("the node serves after a boot", lambda: box.say(STATE, check=False).out == "active", 30)
            self._still_there("a boot")
        boots = box.say("journalctl --list-boots --no-pager", check=False).out.splitlines()
        self.check(len(boots) >= 1, f"boots: {boots}")

    def is_removed_and_comes_back(self):
        box = self.box
        settings = box.say("cat /etc/dolmen/dolmen.toml").out
        box.say("apt-get remove -y dolmen")
        self.check(box.say("pgrep -x dolmen", check=False).status == 1, "a removed package leaves a process")
        self.check(box.say("ls /var/lib/dolmen/replica", check=False).out, "removing keeps the data")
        self.check(box.say("cat /etc/dolmen/dolmen.toml").out == settings, "removing keeps the settings")
        box.say(f"apt-get install -y {self.deb}")
        self._still_there("a removal")
        said = box.say("apt-get purge -y dolmen")
        self.check("/var/lib/dolmen is kept" in said.all, "purging says that the data is kept")
        self.check(not box.file("/etc/dolmen").exists(), "purging deletes the settings")
        self.check(box.say("ls /var/lib/dolmen/replica", check=False).out, "purging keeps the data")
        self.check(box.say("id dolmen", check=False).status == 0, "purging keeps the user")
        left = box.say("systemctl list-unit-files 'dolmen*' --no-legend", check=False).out
        self.check(not left, f"purging leaves units: {left}")
        box.say("rm -r /etc/systemd/system/dolmen.service.d && systemctl daemon-reload")
        box.say(f"apt-get install -y {self.deb}")
        self.check(box.say(STATE, check=False).out == "active", "it serves when it is installed again")
        self._still_there("a purge")

    def kept_no_secret(self):
        box = self.box
        box.say("cd /tmp && dolmen support-bundle -o /tmp/bundle.tar.gz && mkdir b && tar -xzf bundle.tar.gz -C b")
        box.say("dolmen status > /tmp/status; dolmen status --json >> /tmp/status; dolmen doctor > /tmp/doctor || true")
        box.say("journalctl --no-pager -o export > /tmp/journal")
        # A core, if anything leaves one: the unit forbids it.
        box.say("kill -ABRT $(systemctl show -P MainPID dolmen)")
        wait_for("the node serves after an abort", lambda: box.say(STATE, check=False).out == "active", 60)
        cores = box.say("find / -xdev \\( -name 'core' -o -name 'core.[0-9]*' \\) -type f -size +100k 2>/dev/null", check=False).out
        self.check(not cores, f"cores are left: {cores}")
        for name, found in self.planted.look_for(box.file("/tmp"), box.file("/var/log"), box.file("/run/log")):
            self.check(not found, f"the planted {name} is in {found}")
