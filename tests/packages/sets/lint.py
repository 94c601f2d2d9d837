"""What can be said of the packages and the units without installing them."""

import re

from box import Box, root
from packs import run as call
from packs import this_version

QUICK = True

EXPOSURE_MAX = 1.5
LIBC_MAX = (2, 34)
DEB_MIB_MAX = 10
# Where a file of ours may lie.
PLACES = ("/usr/", "/etc/dolmen/")


def run(counts, folder, packs, is_quick):
    deb, rpm = packs.outside("deb", this_version()), packs.outside("rpm", this_version())
    linted = call(["lintian", "--allow-root", "--fail-on", "none", deb], check=False)
    said = [line for line in linted.stdout.splitlines() if line.startswith(("E:", "W:"))]
    counts.check(not said, f"lintian says {said}")
    counts.check(linted.returncode == 0, f"lintian ends with {linted.returncode}: {linted.stderr[-300:]}")
    size = deb.stat().st_size
    counts.check(size <= DEB_MIB_MAX << 20, f"the deb has {size} bytes")
    counts.notes.append(f"deb {size} bytes, rpm {rpm.stat().st_size} bytes")

    linted = call(["rpmlint", "-r", "packaging/rpm/rpmlintrc", rpm], check=False)
    said = [line for line in linted.stdout.splitlines() if ": E: " in line]
    counts.check(not said, f"rpmlint says {said}")
    counts.check(" 0 errors" in linted.stdout, f"rpmlint says {linted.stdout[-300:]}")

    check_lists(counts, deb, rpm)
    check_requires(counts, rpm)
    check_units(counts, folder, packs)


def check_lists(counts, deb, rpm):
    """Both hold the same but for what each family of systems has elsewhere."""
    inside = call(["dpkg-deb", "-c", deb]).stdout.splitlines()
    in_deb = {"/" + line.split()[5][2:] for line in inside if not line.startswith("d")}
    in_rpm = set(call(["rpm", "-qpl", "--noartifact", rpm]).stdout.split())
    strange = [path for path in in_deb | in_rpm if not path.startswith((*PLACES, "/etc/dolmen"))]
    counts.check(not strange, f"files at {strange}")
    families = re.compile(r"^/usr/share/(doc/dolmen|licenses|zsh)/")
    common = lambda paths: {re.sub(r"\.gz$", "", path) for path in paths if not families.match(path)}
    folders = {"/etc/dolmen", "/etc/dolmen/hw-profiles.d", "/usr/share/dolmen", "/usr/share/dolmen/hw-profiles"}
    apart = common(in_deb) ^ (common(in_rpm) - folders - {"/usr/share/doc/dolmen", "/usr/share/licenses/dolmen"})
    counts.check(not apart, f"in one of the packages only: {sorted(apart)}")
    counts.check(
        call(["rpm", "-qpc", rpm]).stdout.split() == ["/etc/dolmen/dolmen.toml"], "the rpm's one setting file"
    )


def check_requires(counts, rpm):
    """Nothing beyond libc, its loader, gcc's runtime and a shell."""
    wanted = re.compile(r"^(libc\.so\.6|libm\.so\.6|ld-linux|libgcc_s|rpmlib|rtld|/bin/sh|config\(dolmen\))")
    requires = set(call(["rpm", "-qp", "--requires", rpm]).stdout.splitlines())
    strange = [one for one in requires if not wanted.match(one)]
    counts.check(not strange, f"the rpm requires {strange}")
    versions = [tuple(map(int, one.split("."))) for one in re.findall(r"GLIBC_([0-9.]+)", " ".join(requires))]
    counts.check(versions and max(versions)[:2] <= LIBC_MAX, f"the rpm wants a libc of {max(versions)}")


def check_units(counts, folder, packs):
    """By the systemd of the box, with the manual that the units name."""
    box = Box(folder, "units", root("tools", "man-db,rpm"), packs.folder)
    try:
        box.boot()
        # Not started: it is looked at.
        box.say("printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d")
        # The manual of a minimal Debian is left out when packages are unpacked.
        box.say("rm -f /etc/dpkg/dpkg.cfg.d/*")
        box.say(f"apt-get install -y {packs.deb(this_version())}")
        for unit in ("dolmen.service", "dolmen-tune.service"):
            said = box.say(f"systemd-analyze verify {unit}", check=False)
            counts.check(said.status == 0 and not said.all, f"systemd-analyze verify {unit} says {said.all}")
        said = box.say("systemd-analyze security dolmen.service --no-pager | tail -n 1").out
        exposure = re.search(r"(\d+\.\d+)", said)
        counts.check(exposure and float(exposure[1]) <= EXPOSURE_MAX, f"systemd-analyze security: {said}")
        counts.notes.append(said.strip("→ "))
        pages = box.say("ls /usr/share/man/man[158]/dolmen*").out.split()
        counts.check(len(pages) > 15, f"manual: {pages}")
        for page in pages:
            said = box.say(f"MANWIDTH=80 man --warnings -l {page} 2>&1 >/dev/null", check=False)
            counts.check(said.status == 0 and not said.all, f"{page}: {said.all[:300]}")
        said = box.say("bash -n /usr/share/bash-completion/completions/dolmen", check=False)
        counts.check(said.status == 0, f"bash's completion: {said.all}")
    finally:
        box.end()
