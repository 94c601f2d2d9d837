"""The programs of docs/tutorials, twice each: what they print is what their
first lines say."""

import ast
import subprocess

import install
from kit import ROOT, Counts

QUICK = True
PROGRAM_SECONDS = 90


def prepare():
    install.python()


def run(target, _folder, _is_quick):
    counts = Counts()
    hosts = ",".join(node.address for node in target.nodes)
    programs = sorted((ROOT / "docs" / "tutorials").glob("*.py"))
    counts.check(len(programs) == 6, f"there are {len(programs)} tutorials")
    for program in programs * 2:
        printed = what_it_prints(program, hosts)
        wanted = what_it_promises(program)
        counts.check(printed == wanted, f"{program.name} prints {printed!r} in place of {wanted!r}")
    return counts


def what_it_promises(program):
    said = ast.get_docstring(ast.parse(program.read_text()))
    return "".join(f"{line[4:]}\n" for line in said.splitlines() if line.startswith("    "))


def what_it_prints(program, hosts):
    command = [install.python(), program, hosts]
    try:
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PROGRAM_SECONDS,
        )
    except subprocess.TimeoutExpired as late:
        return f"nothing more after {PROGRAM_SECONDS} s: {late.stdout!r}"
    if done.returncode != 0:
        return f"{done.stdout}, and ends with {done.returncode}: {done.stderr[-300:]}"
    return done.stdout
