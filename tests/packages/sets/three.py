"""Three boxes on one bridge become a cluster by three commands, serve clients
on every node, lose one and have it replaced; once with TLS and digest users, and
once with doors that are explicitly open."""

import json
import time

from kit import wait_for
from packs import this_version
from site_of_boxes import Site

QUICK = True


def run(counts, folder, packs, is_quick):
    for secured in (True, False):
        way = "TLS" if secured else "open"
        place = folder / way
        place.mkdir()
        site = Site(place, packs, packs.deb(this_version()), secured)
        try:
            Three(counts, site, way).play()
        finally:
            site.end()


class Three:
    NAMES = ("one", "two", "three")

    def __init__(self, counts, site, way):
        self.counts, self.site, self.way = counts, site, way
        self.check = lambda holds, says: counts.check(holds, f"{way}: {says}")

    def play(self):
        site = self.site
        began = time.monotonic()
        for name in self.NAMES:
            site.add(name)
        site.form(self.NAMES)
        self.counts.notes.append(
            f"{self.way}: three boxes booted, installed, joined in {time.monotonic() - began:.1f} s"
        )
        self.refuses_strangers()
        load = site.load(self.NAMES)
        lost = site.leader(self.NAMES)
        # Some writes before the box goes, some after.
        self._until_written(300)
        site.boxes[lost].pull_the_plug()
        rest = [name for name in self.NAMES if name != lost]
        leader = site.leader(rest)
        self._until_written(300)
        number = 1 + self.NAMES.index(lost)
        said = json.loads(site.boxes[leader].say(f"dolmen node replace {number} --json").out)
        site.add("spare")
        site.join("spare", said["token"])
        self._until_written(300)
        told = load.end()
        self.check(not told["errors"], f"clients met {told['errors'][:3]}")
        self.check(told["expired"] == 0, f"{told['expired']} sessions expired")
        self.check(len(told["paths"]) > 900, f"only {len(told['paths'])} writes were acknowledged")
        for name in (*rest, "spare"):
            lacking = site.look(name, told["paths"])
            self.check(not lacking, f"{name} lacks {len(lacking)} acknowledged writes, so {lacking[:2]}")
        self.counts.notes.append(
            f"{self.way}: the leader's plug pulled, and the box replaced: {len(told['paths'])} writes"
            f" acknowledged and all there on 3 nodes, {told['retries']} retried, the longest took"
            f" {told['longest_ms']} ms"
        )
        members = json.loads(site.boxes[leader].say("dolmen node list --json").out)
        self.check(number not in {one["node"] for one in members}, f"the lost box is listed: {members}")

    def _until_written(self, more):
        """By the figures of a node that is up."""

        def zxid():
            said = filter(None, (self.site.status(name) for name in self.site.boxes if self.site.boxes[name].leader))
            return max(int(one["zxid"], 16) & 0xFFFFFFFF for one in said)

        begun = zxid()
        wait_for(f"{more} more writes", lambda: not 0 <= zxid() - begun < more, 60)

    def refuses_strangers(self):
        """Beyond loopback a door wants TLS, or the explicit word."""
        box = self.site.boxes["one"]
        file = box.file("/etc/dolmen/dolmen.toml")
        bare = "\n".join(
            line for line in file.read_text().splitlines() if not line.startswith(("open = true", "tls_"))
        )
        box.file("/root/bare.toml").write_text(bare)
        said = box.say("dolmen check-config /root/bare.toml", check=False)
        self.check(said.status == 1 and "open" in said.all, f"a bare door is told {said.all}")
