"""A machine with a kernel of its own: Debian's cloud kernel under qemu, without
hardware's help, so some ten times slower than a box. What it has and a box has
not: limits that the unit may raise, cgroups of the second kind, and a plug that
can be pulled so that the page cache is gone.

It is spoken to over a serial line, by an agent that is a unit of it."""

import base64
import re
import shutil
import socket
import time

from box import CACHE, Answer, locked
from kit import Failed, Process, wait_for
from packs import run

DISK_MIB = 2048
MEMORY_MIB = 1024
BOOT_SECONDS = 300
COMMAND_SECONDS = 300

# Reads "NUMBER SCRIPT", answers "NUMBER STATUS OUTPUT"; both texts in base64.
AGENT = """#!/bin/bash
stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1
echo "0 0 $(echo up | base64 -w0)" >&3
while read -r number script <&3; do
    script=$(echo "$script" | base64 -d)
    said=$(bash -c "$script" 2>&1 </dev/null | base64 -w0; exit "${PIPESTATUS[0]}")
    echo "$number $? $said" >&3
done
"""
AGENT_UNIT = """[Unit]
After=multi-user.target
[Service]
Type=idle
ExecStart=/usr/local/sbin/agent
Environment=DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 HOME=/root
[Install]
WantedBy=multi-user.target
"""


def kernel():
    """Debian's cloud kernel has ext4 and nvme built in, and wants no initrd."""
    folder = CACHE / "kernel"
    with locked(CACHE / "kernel.lock"):
        if not list(folder.glob("vmlinuz-*")):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            said = run(["apt-cache", "depends", "linux-image-cloud-amd64"]).stdout
            package = re.search(r"Depends: (linux-image-\S+-cloud-amd64)", said)
            if not package:
                raise Failed("apt knows no linux-image-cloud-amd64: apt-get update")
            run(["apt-get", "download", "-qq", package[1]], cwd=folder)
            (deb,) = folder.glob("*.deb")
            run(["dpkg", "-x", deb, folder / "unpacked"])
            (image,) = (folder / "unpacked" / "boot").glob("vmlinuz-*")
            shutil.move(image, folder / image.name)
            shutil.rmtree(folder / "unpacked")
            deb.unlink()
    (image,) = folder.glob("vmlinuz-*")
    return image


class Machine:
    """`packages` are files of this machine, found in /packages of that one."""

    def __init__(self, folder, name, base, packages):
        self.folder, self.name = folder / name, name
        self.folder.mkdir(parents=True)
        self.disk = self.folder / "disk.raw"
        self.process = self.line = None
        self.count, self.rest = 0, b""
        self._make_disk(base, packages)

    def _make_disk(self, base, packages):
        parts = {part: self.folder / part for part in ("upper", "work", "root")}
        for part in parts.values():
            part.mkdir()
        layers = f"lowerdir={base},upperdir={parts['upper']},workdir={parts['work']}"
        run(["mount", "-t", "overlay", "overlay", "-o", layers, parts["root"]])
        try:
            self._fill(parts["root"], packages)
            size = ["truncate", "-s", f"{DISK_MIB}M", self.disk]
            run(size)
            run(["mkfs.ext4", "-q", "-F", "-d", parts["root"], self.disk])
        finally:
            run(["umount", parts["root"]])

    def _fill(self, root, packages):
        (root / "packages").mkdir()
        for package in packages:
            shutil.copy2(package, root / "packages")
        (root / "etc" / "hostname").write_text(f"{self.name}\n")
        (root / "var" / "log" / "journal").mkdir(parents=True, exist_ok=True)
        agent = root / "usr" / "local" / "sbin" / "agent"
        agent.write_text(AGENT)
        agent.chmod(0o755)
        units = root / "etc" / "systemd" / "system"
        (units / "agent.service").write_text(AGENT_UNIT)
        wants = units / "multi-user.target.wants"
        wants.mkdir(exist_ok=True)
        (wants / "agent.service").symlink_to("/etc/systemd/system/agent.service")

    def boot(self):
        door = self.folder / "line"
        door.unlink(missing_ok=True)
        command = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-M", "q35", "-cpu", "max"]
        command += ["-smp", "2", "-m", MEMORY_MIB, "-display", "none", "-no-reboot", "-nic", "none"]
        command += ["-kernel", kernel(), "-append"]
        command += ["root=/dev/nvme0n1 rw console=ttyS0 quiet panic=-1 mitigations=off no_timer_check"]
        command += ["-drive", f"file={self.disk},format=raw,if=none,id=d0,cache=writeback"]
        command += ["-device", "nvme,serial=root,drive=d0"]
        command += ["-serial", f"file:{self.folder / 'console'}"]
        command += ["-chardev", f"socket,id=line,path={door},server=on,wait=off", "-serial", "chardev:line"]
        self.process = Process(command, self.folder / "qemu")
        wait_for(f"{self.name} has a serial line", door.exists, 30, 0.05)
        self.line = socket.socket(socket.AF_UNIX)
        self.line.connect(str(door))
        self.rest = b""
        self._until(0, BOOT_SECONDS)

    def say(self, script, check=True, seconds=COMMAND_SECONDS):
        self.count += 1
        self.line.sendall(b"%d %s\n" % (self.count, base64.b64encode(script.encode())))
        status, out = self._until(self.count, seconds)
        answer = Answer(status, out, "")
        if check and status != 0:
            raise Failed(f"{self.name}: {script!r} ends with {status}: {answer.all[-800:]}")
        return answer

    def _until(self, number, seconds):
        deadline = time.monotonic() + seconds
        while True:
            *lines, self.rest = self.rest.split(b"\n")
            for line in lines:
                words = line.decode(errors="replace").split()
                if len(words) >= 2 and words[0] == str(number):
                    said = base64.b64decode(words[2]) if len(words) > 2 else b""
                    return int(words[1]), said.decode(errors="replace")
            left = deadline - time.monotonic()
            if left <= 0 or not self.process.running():
                console = (self.folder / "console").read_text(errors="replace")[-400:]
                raise Failed(f"{self.name} says nothing any more after {seconds} s: {console}")
            self.line.settimeout(left)
            try:
                self.rest += self.line.recv(65536)
            except TimeoutError:
                pass

    def pull_the_plug(self):
        """The page cache of the machine is gone; what it has handed to its disk
        is there."""
        if self.process:
            self.process.kill()
        if self.line:
            self.line.close()

    def end(self):
        self.pull_the_plug()
        self.disk.unlink(missing_ok=True)
