"""Several boxes on one bridge, and a machine beside them that clients run on."""

import json
import os
import subprocess
from pathlib import Path

import install as clients
from box import Box, Switch, root
from certificates import Certificates
from kit import Failed, Process, wait_for

HERE = Path(__file__).resolve().parent
PORT = 2181
USER = "operator:sesame-of-the-site"


class Site:
    """Boxes with the package installed, each by itself. `secured` has the
    doors speak TLS with a key that comes by credentials, and clients be who
    they say by digest; else the doors are explicitly open."""

    def __init__(self, folder, packs, deb, secured):
        self.folder, self.packs, self.deb, self.secured = folder, packs, deb, secured
        self.switch = Switch(f"dolmen{os.getpid()}")
        self.boxes, self.addresses, self.loads = {}, {}, []
        self.certificates = None
        self.client, _ = self.switch.plug("client")
        # The switch counts: the boxes come behind the client.
        wanted = [f"{Switch.NET}.{number}" for number in range(2, 10)]
        if secured:
            self.certificates = Certificates(folder / "certificates", wanted)

    def add(self, name):
        """A box out of its carton: booted, installed, listening on its network."""
        namespace, address = self.switch.plug(name)
        box = Box(self.folder, name, root(), self.packs.folder, namespace, disk=True)
        self.boxes[name], self.addresses[name] = box, address
        box.boot()
        box.say(f"apt-get install -y {self.deb}")
        box.settle(doors__zookeeper__listen=f"{address}:{PORT}")
        if self.secured:
            self._hand_over_keys(box)
            credentials = "/run/credentials/dolmen.service"
            box.settle(
                doors__zookeeper__tls_certificate=f"{credentials}/door.pem",
                doors__zookeeper__tls_key=f"{credentials}/door.key",
                doors__zookeeper__tls_required=True,
            )
        else:
            box.settle(doors__zookeeper__open=True)
        box.restart()
        return box

    def _hand_over_keys(self, box):
        for name, source in (("door.pem", "server.pem"), ("door.key", "server.key")):
            target = box.file(f"/root/{name}")
            target.write_text(self.certificates.text(source))
            target.chmod(0o600)
        folder = box.file("/etc/systemd/system/dolmen.service.d")
        folder.mkdir(parents=True)
        lines = (f"LoadCredential={name}:/root/{name}" for name in ("door.pem", "door.key"))
        (folder / "secrets.conf").write_text("\n".join(["[Service]", *lines, ""]))

    def form(self, names):
        """`init` on the first, `token create` there and `join` on each other."""
        first, *others = names
        self.boxes[first].say("dolmen init")
        for name in others:
            self.join(name, self.token(first))

    def token(self, name):
        return json.loads(self.boxes[name].say("dolmen token create --json").out)["token"]

    def join(self, name, token):
        self.boxes[name].say(f"dolmen join '{token}'")
        self.until_voting(name)

    def until_voting(self, name):
        def votes():
            status = self.status(name)
            return status and status["role"] in ("leader", "follower")

        wait_for(f"{name} is a voter", votes, 60)

    def status(self, name):
        said = self.boxes[name].say("dolmen status --json", check=False)
        return json.loads(said.out)["coordination"] if said.status == 0 else None

    def leader(self, names):
        def leads():
            return next((one for one in names if (self.status(one) or {}).get("role") == "leader"), None)

        try:
            return wait_for("one of them leads", leads, 30)
        except Failed:
            stand = {name: self.status(name) or self.boxes[name].say("dolmen status", check=False).all for name in names}
            raise Failed(f"after 30 s nobody leads: {json.dumps(stand)[:2000]}") from None

    def hosts(self, names):
        return ",".join(f"{self.addresses[name]}:{PORT}" for name in names)

    def _python(self, program, *arguments):
        secured = ["--ca", self.certificates.path("ca.pem"), "--auth", USER] if self.secured else []
        command = ["ip", "netns", "exec", self.client, clients.python(), program, *arguments, *secured]
        return [str(one) for one in command]

    def load(self, names):
        """Clients that write until they are told to stop."""
        load = Load(self, names)
        self.loads.append(load)
        return load

    def look(self, name, paths):
        """What one node, asked alone, has of these paths: those that it lacks."""
        asked = self.folder / "asked"
        asked.write_text("\n".join(paths))
        command = self._python(HERE / "look.py", self.hosts([name]), asked)
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise Failed(f"{name} cannot be read: {done.stderr[-500:]}")
        return json.loads(done.stdout)

    def end(self):
        for load in self.loads:
            load.process.kill()
        for box in self.boxes.values():
            box.end()
        self.switch.end()


class Load:
    def __init__(self, site, names):
        self.stop_file = site.folder / "stop"
        self.stop_file.unlink(missing_ok=True)
        log = site.folder / "load"
        log.unlink(missing_ok=True)
        self.process = Process(site._python(HERE / "load.py", site.hosts(names), self.stop_file), log)
        wait_for("the clients write", self._has_begun, 90)

    def _has_begun(self):
        if not self.process.running():
            raise Failed(f"the clients ended: {self.process.tail()}")
        return "begun" in self.process.said()

    def end(self):
        """What they were told, once they have stopped."""
        self.stop_file.touch()
        wait_for("the clients stop", lambda: not self.process.running(), 120)
        last = self.process.said().splitlines()[-1]
        if not last.startswith("{"):
            raise Failed(f"the clients ended badly: {self.process.tail()}")
        said = json.loads(last)
        said["paths"] = [f"/load/{who}-{step:08}" for who, count in said["acked"].items() for step in range(count)]
        return said
