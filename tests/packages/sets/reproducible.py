"""The packages as they are shipped: built twice from one commit, each time from
nothing and in another folder, they are the same to the last bit."""

import hashlib
import re
import time

from kit import ROOT
from packs import run as call

QUICK = False

BUILD_SECONDS = 5400
# Of what is shipped, by the end of the coordination service.
DEB_MIB_MAX = 10


def run(counts, folder, packs, is_quick):
    # Whoever commits meanwhile changes nothing of it.
    commit = call(["git", "-C", ROOT, "rev-parse", "HEAD"]).stdout.strip()
    folders = [folder / name for name in ("a", "a/longer/path/than/the/first")]
    builds = [build(counts, one, commit) for one in folders]
    names = sorted(path.name for path in builds[0].iterdir())
    counts.check(len(names) == 3, f"a build makes {names}")
    for name in names:
        sums = [hashlib.sha256((built / name).read_bytes()).hexdigest() for built in builds]
        counts.check(sums[0] == sums[1], f"{name} is {sums[0]} and {sums[1]}")
        size = (builds[0] / name).stat().st_size
        counts.notes.append(f"{name}: {size} bytes, sha256 {sums[0]}, twice")
        if re.fullmatch(r"dolmen_.*\.deb", name):
            counts.check(size <= DEB_MIB_MAX << 20, f"{name} has {size} bytes")
        if name.startswith("dolmen-dbgsym_"):
            check_lines(counts, folder, builds[0] / name)


def check_lines(counts, folder, deb):
    """The package of debug symbols tells where in our source a step of a
    backtrace is."""
    call(["dpkg-deb", "-x", deb, folder / "dbgsym"])
    (symbols,) = (folder / "dbgsym").rglob("*.debug")
    lines = call(["readelf", "--debug-dump=rawline", symbols]).stdout
    counts.check("main.rs" in lines, f"{deb.name} has no line of src/main.rs")


def build(counts, folder, commit):
    """From a clone of what is committed, in a folder of its own, with nothing
    of an earlier build."""
    folder.mkdir(parents=True)
    clone, out = folder / "dolmen", folder / "out"
    call(["git", "clone", "--quiet", "--no-hardlinks", ROOT, clone])
    call(["git", "-C", clone, "checkout", "--quiet", "--detach", commit])
    began = time.monotonic()
    said = call(
        [clone / "packaging" / "build.sh", "--out", out],
        seconds=BUILD_SECONDS,
        cwd=clone,
        env={"CARGO_TARGET_DIR": str(clone / "target")},
    )
    installed = re.search(r"^installed: (\d+) bytes$", said.stdout, re.MULTILINE)
    counts.check(installed, f"build.sh says {said.stdout[-300:]}")
    counts.notes.append(f"built in {time.monotonic() - began:.0f} s, installed {installed[1]} bytes")
    # Room for the other one.
    call(["rm", "-rf", clone / "target"])
    return out
