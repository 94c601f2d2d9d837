"""Releases come and go: on one box, and on three in turn while clients write."""

import json

from box import Box, root
from kit import wait_for
from packs import HIGHER, LOWER, NEXT, this_version
from site_of_boxes import Site

QUICK = False

STATE = "systemctl is-active dolmen"
EDITED = "# edited by the owner"
# The highest zxids, and so the last acknowledged writes, live in this many ms.
STALL_MS_MAX = 5000


def run(counts, folder, packs, is_quick):
    one_box(counts, folder, packs)
    three_boxes(counts, folder, packs)


def one_box(counts, folder, packs):
    check = counts.check
    box = Box(folder, "up", root(), packs.folder, disk=True)
    try:
        box.boot()
        box.say(f"apt-get install -y {packs.deb(this_version())}")
        box.say("dolmen zk create /kept 'through everything'")
        box.say(f"echo '{EDITED}' >> /etc/dolmen/dolmen.toml")

        def goes_to(version, flags=""):
            before = box.show("dolmen", "MainPID")["MainPID"]
            said = box.say(f"apt-get install -y {flags} {packs.deb(version)}")
            wait_for(f"{version} serves", lambda: box.say(STATE, check=False).out == "active", 30)
            check(box.show("dolmen", "MainPID")["MainPID"] != before, f"{version} is not the one that runs")
            check(EDITED in box.file("/etc/dolmen/dolmen.toml").read_text(), f"{version} loses edited settings")
            check(box.say("dolmen zk get /kept").out == "through everything", f"{version} loses data")
            return said

        goes_to(HIGHER)
        journal = box.say("journalctl -u dolmen -o cat --no-pager").out
        check("stopping" in journal and "Deactivated successfully" in journal, "no clean stop before the upgrade")
        goes_to(LOWER, "--allow-downgrades")
        # Stopped by its owner, it stays stopped.
        box.say("systemctl stop dolmen")
        box.say(f"apt-get install -y {packs.deb(this_version())}")
        state = box.say(STATE, check=False).out
        check(state == "inactive", f"an upgrade of a stopped node leaves it {state}")
        box.say("systemctl start dolmen")

        # A release with the next format: back until it is final, and not after.
        goes_to(NEXT)
        goes_to(this_version(), "--allow-downgrades")
        goes_to(NEXT)
        said = box.say("dolmen upgrade finalize")
        check(said.status == 0, f"finalize says {said.all}")
        check(box.say("dolmen upgrade finalize", check=False).status == 0, "finalize cannot be typed twice")
        said = box.say(f"apt-get install -y --allow-downgrades {packs.deb(this_version())}", check=False)
        lines = [line for line in said.all.splitlines() if "feature level 2" in line and "up to 1" in line]
        check(said.status != 0 and len(lines) == 1, f"behind finalize the older package says {said.all}")
        check(box.say(STATE, check=False).out == "active", "a refused downgrade stops the node")
        check(box.say("dolmen zk get /kept").out == "through everything", "a refused downgrade loses data")
        # The binary by itself refuses as well, and changes nothing.
        box.say("systemctl stop dolmen && cp /packages/dolmen /root/older")
        said = box.say("setpriv --reuid=dolmen --regid=dolmen --clear-groups /packages/dolmen serve", check=False, seconds=30)
        one_line = said.status == 1 and len(said.err.splitlines()[-1:]) == 1
        last = said.err.splitlines()[-1] if said.err else ""
        check(one_line and "2" in last and "1" in last, f"the older binary says {said.all}")
        box.say("systemctl start dolmen")
        check(box.say("dolmen zk get /kept").out == "through everything", "an older binary has changed the data")
    finally:
        box.end()


def three_boxes(counts, folder, packs):
    """Each in turn, the leader as well, under clients that try again."""
    check = counts.check
    names = ("one", "two", "three")
    place = folder / "rolling"
    place.mkdir()
    site = Site(place, packs, packs.deb(this_version()), secured=False)
    try:
        for name in names:
            site.add(name)
        site.form(names)
        load = site.load(names)
        for name in names:
            site.boxes[name].say(f"apt-get install -y {packs.deb(NEXT)}")
            site.until_voting(name)
            if name != names[-1]:
                said = site.boxes[name].say("dolmen upgrade finalize", check=False)
                check(said.status == 1, f"with {name} upgraded alone finalize says {said.all}")
        said = site.boxes["one"].say("dolmen upgrade finalize", check=False)
        check(said.status == 0, f"with all upgraded finalize says {said.all}")
        told = load.end()
        check(not told["errors"], f"clients met {told['errors'][:3]}")
        check(told["expired"] == 0, f"{told['expired']} sessions expired")
        check(told["longest_ms"] < STALL_MS_MAX, f"a write took {told['longest_ms']} ms")
        for name in names:
            lacking = site.look(name, told["paths"])
            check(not lacking, f"{name} lacks {len(lacking)} acknowledged writes, so {lacking[:2]}")
            level = json.loads(site.boxes[name].say("dolmen upgrade status --json").out)
            check(level.get("level") == 2, f"{name} says of the level {level}")
        counts.notes.append(
            f"three boxes upgraded in turn: {len(told['paths'])} writes acknowledged and all there,"
            f" {told['retries']} retried, the longest took {told['longest_ms']} ms"
        )
    finally:
        site.end()
