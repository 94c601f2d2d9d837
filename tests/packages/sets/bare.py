"""README's two commands, typed by somebody who has a fresh clone, rustup's
cargo, gcc and libc6-dev, and nothing else. The crates are those that this
machine's cargo has: the box has no network."""

import os
import re
import time
from pathlib import Path

from box import Box, root
from kit import ROOT, Failed, wait_for
from packs import run as call

QUICK = False

BUILD_SECONDS = 3600
DEMO_SECONDS = 30
USER = "builder"
CLONE = f"/home/{USER}/dolmen"
TOOLS = "export PATH=/rust/bin:$PATH HOME=/home/builder CARGO_NET_OFFLINE=true"


def run(counts, folder, packs, is_quick):
    starts, tests = commands()
    call(["cargo", "fetch", "--locked"])
    toolchain = call(["rustc", "--print", "sysroot"]).stdout.strip()
    seen = [(toolchain, "/rust"), (crates(), "/crates"), (clone(folder), "/clone")]
    box = Box(folder, "bare", root("bare", "gcc,libc6-dev"), packs.folder, seen=seen)
    try:
        box.boot()
        check_is_bare(counts, box)
        box.say(f"useradd -m {USER}")
        home = f"/home/{USER}"
        box.say(f"cp -r /clone {CLONE} && mkdir {home}/.cargo && cp -r /crates {home}/.cargo/registry", user=USER, seconds=600)
        check_serves(counts, box, folder, starts)
        check_passes(counts, box, tests)
    finally:
        box.end()


def commands():
    """The first two that README gives, without its words on them."""
    text = (ROOT / "README.md").read_text()
    lines = [line.split("#")[0].strip() for line in text.splitlines() if line.startswith("    ")]
    if not (lines[0].startswith("cargo run ") and lines[1].startswith("cargo test")):
        raise Failed(f"README begins with {lines[:2]}, and not with what runs and what tests")
    return lines[:2]


def crates():
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    return home / "registry"


def clone(folder):
    to = folder / "clone"
    call(["git", "clone", "--quiet", "--no-hardlinks", ROOT, to])
    return to


def check_is_bare(counts, box):
    there = box.say("command -v git python3 cmake make pkg-config clang c++ cargo rustup perl", check=False).out
    # Debian's own tools are in Perl, and it is on every machine of it.
    strange = [one for one in there.split() if not one.endswith("/perl")]
    counts.check(not strange, f"the machine has {strange}")


def check_serves(counts, box, folder, command):
    said = folder / "node"
    began = time.monotonic()
    node = box.begin(f"{TOOLS} && cd {CLONE} && exec {command}", said, user=USER)
    dolmen = f"{CLONE}/target/release/dolmen"
    try:
        serves = lambda: _serves(box, node, dolmen)
        wait_for("a node serves", serves, BUILD_SECONDS, 0.5)
        counts.check(True, "")
        counts.notes.append(f"{command}: serves {time.monotonic() - began:.0f} s after it was typed")
        began = time.monotonic()
        toured = box.say(f"{dolmen} demo", user=USER, check=False)
        took = time.monotonic() - began
        counts.check(toured.status == 0, f"dolmen demo says {toured.all[-400:]}")
        counts.check(took < DEMO_SECONDS, f"dolmen demo takes {took:.1f} s")
        counts.notes.append(f"dolmen demo: {took:.1f} s")
        # Control and C, as the terminal sends them to all that it runs.
        box.say(f"pkill -INT -u {USER} -x dolmen")
        wait_for("the node has stopped", lambda: not node.running(), 30)
        counts.check(node.child.returncode == 0, f"stopped by hand it ends with {node.child.returncode}: {node.tail()}")
    finally:
        node.kill()


def _serves(box, node, dolmen):
    if not node.running():
        raise Failed(f"the first command ended with {node.child.returncode}: {node.tail(20)}")
    asked = box.say(f"cd {CLONE} && {dolmen} status --data dolmen-data", user=USER, check=False)
    return asked.status == 0 and "serving" in asked.out


def check_passes(counts, box, command):
    began = time.monotonic()
    said = box.say(f"{TOOLS} && cd {CLONE} && {command}", user=USER, check=False, seconds=BUILD_SECONDS)
    why = [line for line in said.all.splitlines() if re.search("FAILED|panicked|^error", line)]
    counts.check(said.status == 0, f"{command} ends with {said.status}: {why}")
    sums = re.findall(r"test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", said.out)
    passed, failed, skipped = (sum(int(one[at]) for one in sums) for at in range(3))
    counts.check(passed > 0 and failed == 0, f"{command}: {passed} passed, {failed} failed")
    took = time.monotonic() - began
    counts.notes.append(f"{command}: {passed} passed, {failed} failed, {skipped} skipped, {took:.0f} s with compiling")
