"""A machine that is made for one test: Debian's own packages, booted by
systemd in a container of systemd-nspawn, with its own network and its own
init. Its root is an overlay over one that is made once and kept in a cache;
what the test does to it is gone at the end.

It shares the kernel with the machine that it runs on: what is killed here
leaves its page cache behind. Power cuts are another test's."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

from kit import Failed, Process, wait_for
from packs import run

CACHE = Path(os.environ.get("DOLMEN_BOXES_CACHE", Path.home() / ".cache" / "dolmen-boxes"))
BOOT_SECONDS = 120
COMMAND_SECONDS = 120
# The least that boots and installs: nothing that Dolmen would want is added.
BASE = "systemd,systemd-sysv,dbus,apt,iproute2,procps,kmod,udev"
# nspawn's own filter keeps these out; a bare machine does not.
URING = "@aio io_uring_setup io_uring_enter io_uring_register"
# What wants the network, or comes by itself in the middle of a test.
QUIET_UNITS = (
    "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer "
    "fstrim.timer systemd-timesyncd.service systemd-resolved.service"
).split()


@contextmanager
def locked(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def root(kind="base", more=""):
    """The folder of a root that boots, made when it is first asked for. `more`
    are Debian packages beside those of the base."""
    folder = CACHE / kind
    with locked(CACHE / f"{kind}.lock"):
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            _bootstrap(folder, ",".join(filter(None, [BASE, more])))
            (folder / "made").touch()
    return folder / "root"


def _bootstrap(folder, packages):
    sources = _sources()
    archive = folder / "root.tar"
    command = ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={packages}"]
    command += ["bookworm", archive, *sources]
    run(command, seconds=900)
    run(["mkdir", folder / "root"])
    run(["tar", "-xf", archive, "-C", folder / "root", "--exclude=./dev/*"])
    archive.unlink()
    made = folder / "root"
    (made / "etc" / "machine-id").write_text("")
    (made / "etc" / "resolv.conf").write_text("")
    for path in (made / "etc" / "apt").glob("sources.list*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for unit in QUIET_UNITS:
        link = made / "etc" / "systemd" / "system" / unit
        if not link.exists():
            link.symlink_to("/dev/null")


def _sources():
    """Where this machine's own Debian comes from."""
    apt = Path("/etc/apt")
    lists = [*apt.glob("sources.list.d/debian.sources"), *apt.glob("sources.list")]
    if not lists:
        raise Failed("apt has neither sources.list.d/debian.sources nor sources.list")
    return lists[:1]


class Answer:
    """What a command in a box said."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out.strip(), err.strip()
        self.all = f"{self.out}\n{self.err}".strip()


class Box:
    """`packages` is a folder of the machine outside, seen as /packages. With
    `disk`, /var/lib/dolmen is on this machine's own file system, and so on a
    device; it is a layer of the overlay otherwise. `seen` are further folders
    of the machine outside, read only, and where they are seen."""

    def __init__(self, folder, name, base, packages, namespace=None, disk=False, seen=()):
        self.folder, self.name, self.base = folder / name, name, base
        self.packages, self.namespace, self.disk = packages, namespace, disk
        self.seen = seen
        self.process = self.leader = None
        self.root = self.folder / "root"
        for part in ("upper", "work", "root", "disk"):
            (self.folder / part).mkdir(parents=True)

    def boot(self):
        """Returns when systemd says that all is up. The next boot finds what the
        one before has left."""
        layers = f"lowerdir={self.base},upperdir={self.folder / 'upper'},workdir={self.folder / 'work'}"
        run(["mount", "-t", "overlay", "overlay", "-o", layers, self.root])
        network = "--private-network"
        if self.namespace:
            network = f"--network-namespace-path=/run/netns/{self.namespace}"
        command = ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", network]
        command += ["-D", self.root, f"--machine={self.name}", f"--hostname={self.name}"]
        command += ["--console=pipe", "--link-journal=no", "--resolv-conf=off", "--timezone=off"]
        command += [f"--bind-ro={self.packages}:/packages", f"--system-call-filter={URING}"]
        command += [f"--bind-ro={outside}:{inside}" for outside, inside in self.seen]
        if self.disk:
            command += [f"--bind={self.folder / 'disk'}:/var/lib/dolmen"]
        self.process = Process(command, self.folder / "console")
        self.leader = wait_for(f"{self.name} has an init", self._init, 30, 0.02)
        wait_for(f"{self.name} is up", self._is_up, BOOT_SECONDS, 0.1)

    def _init(self):
        if not self.process.running():
            raise Failed(f"{self.name} did not boot: {self.process.tail()}")
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        pids = children.read_text().split()
        is_init = lambda pid: Path(f"/proc/{pid}/comm").read_text().strip() == "systemd"
        return next((int(pid) for pid in pids if is_init(pid)), None)

    def _is_up(self):
        if not self.process.running():
            raise Failed(f"{self.name} went down while it booted: {self.process.tail()}")
        state = self.say("systemctl is-system-running", check=False).out
        if state == "degraded":
            raise Failed(f"{self.name} booted badly: {self.say('systemctl --failed --plain').out}")
        return state == "running"

    def say(self, script, check=True, user=None, seconds=COMMAND_SECONDS, stdin=None):
        """Runs a line of shell in the box, as root or as a user of it."""
        command = self._command(script, user)
        try:
            done = subprocess.run(
                command,
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name}: {script!r} takes more than {seconds} s") from None
        answer = Answer(done.returncode, done.stdout, done.stderr)
        if check and answer.status != 0:
            raise Failed(f"{self.name}: {script!r} ends with {answer.status}: {answer.all[-800:]}")
        return answer

    def begin(self, script, log, user=None):
        """The same, and goes on while it runs."""
        return Process(self._command(script, user), log)

    def _command(self, script, user):
        command = ["nsenter", "-t", str(self.leader), "-m", "-p", "-n", "-i", "-u", "-C", "--"]
        command += ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"]
        command += ["DEBIAN_FRONTEND=noninteractive"]
        if user:
            command += ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        return [*command, "sh", "-c", f"cd /; {script}"]

    def restart(self):
        """With the settings and drop-ins as they are now."""
        said = self.say("systemctl daemon-reload && systemctl restart dolmen", check=False)
        if said.status != 0:
            tail = self.say("journalctl -u dolmen -n 8 -o cat --no-pager", check=False).out
            raise Failed(f"{self.name}: dolmen does not start: {tail}")

    def show(self, unit, *names):
        """Properties of a unit, as systemd has them."""
        said = self.say(f"systemctl show {unit} -p {','.join(names)}").out
        return dict(line.split("=", 1) for line in said.splitlines())

    def settle(self, **settings):
        """Edits dolmen.toml as its owner does, each setting in its section. The
        names have __ where the keys have a dot."""
        file = self.file("/etc/dolmen/dolmen.toml")
        lines = file.read_text().splitlines()
        for name, value in settings.items():
            section, _, key = name.replace("__", ".").rpartition(".")
            begin = lines.index(f"[{section}]")
            lines = [line for line in lines if not line.startswith(f"{key} = ")]
            lines.insert(begin + 1, f"{key} = {json.dumps(value)}")
        file.write_text("\n".join([*lines, ""]))

    def file(self, path):
        """A path of the box's root, from outside."""
        return self.root / path.lstrip("/")

    def power_off(self):
        """The orderly way, as by the button."""
        self.say("systemctl poweroff", check=False)
        wait_for(f"{self.name} is off", lambda: not self.process.running(), 60)
        self._unmount()

    def pull_the_plug(self):
        """Every process of it is gone at once."""
        if self.process and self.process.running():
            os.kill(self.leader, signal.SIGKILL)
            wait_for(f"{self.name} is gone", lambda: not self.process.running(), 30)
        self._unmount()

    def _unmount(self):
        self.leader = None
        if os.path.ismount(self.root):
            run(["umount", "-R", self.root])

    def end(self):
        """Leaves nothing behind, whatever state it is in."""
        try:
            self.pull_the_plug()
        finally:
            if self.process:
                self.process.kill()


class Switch:
    """A bridge that boxes are plugged into, in a network namespace of its own,
    and a namespace for each box and for the clients. The machine outside has
    no address in it."""

    NET = "10.99.0"

    def __init__(self, tag):
        self.tag, self.count = tag, 0
        self.made = []
        self.hub = self._namespace("hub")
        self._ip(self.hub, "link add br0 type bridge")
        self._ip(self.hub, "link set br0 up")

    def _namespace(self, name):
        name = f"{self.tag}-{name}"
        run(["ip", "netns", "add", name])
        self.made.append(name)
        return name

    @staticmethod
    def _ip(namespace, words):
        return run(["ip", "-n", namespace, *words.split()])

    def plug(self, name):
        """A namespace with an address on the bridge: its name, and the address."""
        self.count += 1
        port, namespace = f"port{self.count}", self._namespace(name)
        address = f"{self.NET}.{self.count}"
        self._ip(self.hub, f"link add {port} type veth peer name eth0 netns {namespace}")
        self._ip(self.hub, f"link set {port} master br0 up")
        self._ip(namespace, "link set lo up")
        self._ip(namespace, f"addr add {address}/24 dev eth0")
        self._ip(namespace, "link set eth0 up")
        return namespace, address

    def end(self):
        for name in reversed(self.made):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
