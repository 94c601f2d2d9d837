"""zkCli.sh of Debian's zookeeper package, typed into by scripts."""

import re
import subprocess

import install
from kit import HERE, Counts, Failed, leads, wait_for

QUICK = True
CLI = install.DEBIAN_PACKAGES["zookeeper"]
CLI_SECONDS = 120
# Typed after each command: prints one line that nothing else prints, so that
# the output falls into one part a command.
MARK, MARK_SAYS = "printwatches", "printwatches is on"


def prepare():
    install.java()
    install.debian("zookeeper")


def run(target, _folder, _is_quick):
    counts = Counts()
    script(counts, target, (HERE / "sets" / "zkcli.script").read_text())
    one_shot(counts, target)
    reconfigure(counts, target)
    return counts


def typed(target, commands):
    """What each command answers, and the whole output."""
    lines = [f"{line}\n" for command in commands for line in (command, MARK)]
    done = subprocess.run(
        [CLI, "-server", target.nodes[0].address],
        input="".join(lines) + "quit\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=CLI_SECONDS,
    )
    parts = done.stdout.split(MARK_SAYS + "\n")
    if len(parts) != len(commands) + 1:
        raise Failed(f"zkCli.sh answered {len(parts) - 1} of {len(commands)}: {parts[-1][-300:]}")
    return parts[:-1], done.stdout


def script(counts, target, text):
    steps = []
    for line in text.splitlines():
        if line.startswith("> "):
            steps.append((line[2:], []))
        elif line and not line.startswith("#"):
            steps[-1][1].append((line[0], line[2:]))
    parts, whole = typed(target, [command for command, _ in steps])
    for (command, wanted), part in zip(steps, parts):
        missing = [f"{sign} {text}" for sign, text in wanted if not holds(sign, text, part, whole)]
        last = " | ".join(line for line in part.splitlines() if line)[-300:]
        silent = not wanted and re.search("Exception|does not|not valid|permission", part)
        counts.check(not missing and not silent, f"{command}: wants {missing}, got {last!r}")


def holds(sign, text, part, whole):
    match sign:
        case "=":
            return text in part.splitlines()
        case "~":
            return re.search(text, part, re.MULTILINE) is not None
        case "!":
            return re.search(text, part, re.MULTILINE) is None
        case "&":
            return text in whole
    raise ValueError(f"no sign {sign!r} in the script")


def one_shot(counts, target):
    """A command on the command line, and exit statuses that scripts rely on."""
    for command, status, says in (
        (["create", "/once", "x"], 0, "Created /once"),
        (["get", "/once"], 0, "x"),
        (["get", "/never"], 1, "Node does not exist: /never"),
        (["delete", "/once"], 0, ""),
    ):
        done = subprocess.run(
            [CLI, "-server", target.nodes[1].address, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=CLI_SECONDS,
        )
        fits = done.returncode == status and says in done.stdout
        counts.check(fits, f"{' '.join(command)}: status {done.returncode}, {done.stdout[-200:]!r}")


def reconfigure(counts, target):
    """Takes a server that does not lead out and in again, as the superuser."""
    superuser = "addauth digest super:test"
    out = [node for node in target.nodes if not leads(node.address)][-1]
    number = str(out.number)

    def members():
        part = typed(target, ["config"])[0][0]
        return dict(re.findall(r"^server\.(\d+)=(.*)$", part, re.MULTILINE))

    def comes(says, wanted):
        # Servers may drop a client while the ensemble takes its new shape.
        try:
            wait_for(says, lambda: sorted(members()) == wanted, 30, every=1)
            counts.check(True, "")
        except Failed as why:
            counts.check(False, f"{why}; config names {members()}")

    before = members()
    counts.check(sorted(before) == ["1", "2", "3"], f"config names {before}")
    rest = sorted(before.keys() - {number})
    removed = typed(target, [superuser, f"reconfig -remove {number}"])[0][1]
    counts.check("Committed new configuration" in removed, f"reconfig -remove: {removed[-200:]!r}")
    comes(f"server {number} is out", rest)
    back = f"reconfig -add server.{number}={before.get(number)}"
    added = typed(target, [superuser, back])[0][1]
    if target.name == "dolmen":
        # Nobody joins by reconfig there: a box shows a token (docs/operating.md).
        counts.check("Arguments are not valid" in added, f"{back}: {added[-200:]!r}")
        return
    counts.check("Committed new configuration" in added, f"{back}: {added[-200:]!r}")
    comes(f"server {number} is in again", ["1", "2", "3"])
