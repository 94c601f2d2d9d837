"""The rpm's life. There is no root of a system of rpms to be had, so Debian's
own rpm installs it in a booted box, without its dependencies."""

from box import Box, root
from kit import wait_for
from packs import HIGHER, LOWER, NEXT, this_version

QUICK = False

STATE = "systemctl is-active dolmen"
PRESET = "/etc/systemd/system-preset/50-site.preset"
INSTALL = "rpm -i --nodeps --ignoreos"


def run(counts, folder, packs, is_quick):
    check = counts.check
    box = Box(folder, "rpm", root("tools", "man-db,rpm"), packs.folder, disk=True)
    try:
        box.boot()
        package = packs.rpm(this_version())

        # A site that says no is heeded; one that says yes has a node at once.
        box.say(f"mkdir -p $(dirname {PRESET}) && echo 'disable *' > {PRESET}")
        box.say(f"{INSTALL} {package}")
        state = box.say("systemctl is-enabled dolmen", check=False).out
        check(state == "disabled", f"with a preset that disables, dolmen is {state}")
        check(box.say(STATE, check=False).out == "inactive", "and runs all the same")
        check(box.say("id -u dolmen", check=False).status == 0, "the user is not there")
        box.say("rpm -e dolmen")
        check(not box.file("/etc/dolmen/dolmen.toml").exists(), "untouched settings stay behind")

        box.say(f"echo 'enable dolmen.service' > {PRESET}")
        box.say(f"{INSTALL} {package}")
        check(box.say(STATE, check=False).out == "active", "with a preset that enables, it does not run")
        tune = box.say("systemctl is-enabled dolmen-tune", check=False).out
        check(tune in ("disabled", "enabled"), f"dolmen-tune is {tune}")
        check("serving" in box.say("dolmen status").out, "it does not serve")
        box.say("dolmen zk create /kept 'through everything'")

        # An edited file stays, and the new one lies beside it.
        edited = "# edited by the owner"
        box.say(f"echo '{edited}' >> /etc/dolmen/dolmen.toml")
        before = box.show("dolmen", "MainPID")["MainPID"]
        box.say(f"rpm -U --nodeps --ignoreos {packs.rpm(HIGHER)}")
        check(edited in box.file("/etc/dolmen/dolmen.toml").read_text(), "an upgrade loses edited settings")
        wait_for("the upgraded node serves", lambda: box.say(STATE, check=False).out == "active", 30)
        check(box.show("dolmen", "MainPID")["MainPID"] != before, "an upgrade restarts nothing")
        check(box.say("dolmen zk get /kept").out == "through everything", "an upgrade loses data")

        box.say(f"rpm -U --oldpackage --nodeps --ignoreos {packs.rpm(LOWER)}")
        wait_for("the downgraded node serves", lambda: box.say(STATE, check=False).out == "active", 30)
        check(box.say("dolmen zk get /kept").out == "through everything", "a downgrade loses data")

        box.say(f"rpm -U --nodeps --ignoreos {packs.rpm(NEXT)}")
        wait_for("the next release serves", lambda: box.say(STATE, check=False).out == "active", 30)
        box.say("dolmen upgrade finalize")
        said = box.say(f"rpm -U --oldpackage --nodeps --ignoreos {packs.rpm(LOWER)}", check=False)
        check(said.status != 0 and "feature level 2" in said.all and "up to 1" in said.all,
              f"behind finalize the older rpm says {said.all}")
        check(box.say(STATE, check=False).out == "active", "a refused downgrade stops the node")

        box.say("rpm -e dolmen")
        check(box.say("pgrep -x dolmen", check=False).status == 1, "an erased package leaves a process")
        kept = box.file("/etc/dolmen/dolmen.toml.rpmsave")
        check(kept.exists() and edited in kept.read_text(), "edited settings are not kept as .rpmsave")
        check(box.file("/var/lib/dolmen").exists(), "erasing deletes the data")
        left = box.say("systemctl list-unit-files 'dolmen*' --no-legend", check=False).out
        check(not left, f"erasing leaves units: {left}")
    finally:
        box.end()
