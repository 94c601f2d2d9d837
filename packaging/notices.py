#!/usr/bin/env python3
"""Writes what a package has to say about the code that is linked into its
binary: `copyright`, in Debian's machine-readable form with the notices of every
package that cargo links in, and `sbom.cdx.json`, the same list for scanners
(CycloneDX 1.5).

packaging/notices.py --target TRIPLE --version VERSION --out FOLDER

A licence that is not listed below, or a package without a licence's text where
one must travel with the binary, ends it: somebody has to look at that."""

import argparse
import json
import os
import re
import subprocess
import sys
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Of several licences that a package offers, the first of these is taken. The
# Apache licence's text is long, the same everywhere, and there already.
PREFERRED = ["Apache-2.0", "MIT", "BSD-3-Clause", "BSD-2-Clause", "ISC", "Zlib"]
APACHE = "Apache-2.0"
# What a package's licence file may be called.
LICENCE_FILE = re.compile(r"^(licen[cs]e|copying|notice|unlicense)([-._].*)?$", re.IGNORECASE)
NOTICE_LINE = re.compile(r"^\W*(copyright\s+(\(c\)|©|\d{4}|[A-Z]).*)$", re.IGNORECASE)
# Of the licences' own texts, where they speak about notices.
NOT_A_NOTICE = re.compile(
    r"copyright (notice|owner|holder|licen|and|\[|\{|law|statement|interest|term)|yyyy|<year>",
    re.IGNORECASE,
)


def cargo(*arguments):
    done = subprocess.run(["cargo", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def linked(target):
    """The packages whose code is in the binary: no macros that ran at compile
    time, no build scripts, no tests. Ours is not among them."""
    tree = cargo(
        "tree", "--locked", "--target", target, "--prefix", "none",
        "--edges", "normal,no-proc-macro", "--format", "{p}",
    )  # fmt: skip
    names = {tuple(line.split()[:2]) for line in tree.splitlines() if line.strip()}
    known = json.loads(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    chosen = [one for one in known["packages"] if (one["name"], "v" + one["version"]) in names]
    assert len(chosen) == len(names), "cargo tree and cargo metadata name the same packages"
    ours = set(known["workspace_members"])
    others = (one for one in chosen if one["id"] not in ours)
    return sorted(others, key=lambda one: (one["name"], one["version"]))


class Expression:
    """An SPDX expression: the licences to be heeded, of those it offers."""

    def __init__(self, text):
        self.words = re.findall(r"\(|\)|[^\s()/]+|/", text)

    def chosen(self):
        licences = self._either()
        if self.words:
            sys.exit(f"not understood: {' '.join(self.words)}")
        return licences

    def _either(self):
        offered = [self._both()]
        # A slash is how "or" was written in older packages.
        while self.words and self.words[0] in ("OR", "/"):
            self.words.pop(0)
            offered.append(self._both())
        return min(offered, key=self._rank)

    def _both(self):
        licences = self._one()
        while self.words and self.words[0] == "AND":
            self.words.pop(0)
            licences = licences + [one for one in self._one() if one not in licences]
        return licences

    def _one(self):
        word = self.words.pop(0)
        if word == "(":
            licences = self._either()
            assert self.words.pop(0) == ")", "brackets come in pairs"
            return licences
        if self.words and self.words[0] == "WITH":
            del self.words[:2]
        return [word]

    @staticmethod
    def _rank(licences):
        unknown = [one for one in licences if one not in PREFERRED]
        ranks = [PREFERRED.index(one) for one in licences if one in PREFERRED]
        return len(unknown), len(licences), max(ranks, default=0)


class Package:
    def __init__(self, known):
        self.name = known["name"]
        self.version = known["version"]
        self.says = known["license"] or sys.exit(f"{self.name} names no licence")
        self.licences = Expression(self.says).chosen()
        for licence in self.licences:
            if licence not in PREFERRED:
                sys.exit(f"{self.name} is under {licence}: packaging/notices.py does not know that")
        self.authors = [re.sub(r"\s*<.*>", "", author) for author in known["authors"]]
        folder = Path(known["manifest_path"]).parent
        files = (one for one in sorted(folder.iterdir()) if LICENCE_FILE.match(one.name) and one.is_file())
        self.texts = {one.name: one.read_text(errors="replace") for one in files}

    def copyright(self):
        lines = []
        for text in self.texts.values():
            for line in text.splitlines():
                found = NOTICE_LINE.match(line.strip())
                if found and not NOT_A_NOTICE.search(line):
                    notice = re.sub(r"^copyright\s*(\(c\)|©)?\s*", "", found[1], flags=re.IGNORECASE).strip()
                    if notice and notice not in lines:
                        lines.append(notice)
        if lines:
            return lines
        return [f"{who} and contributors" for who in self.authors] or [f"the contributors of {self.name}"]

    def own_texts(self):
        """Texts that must travel along: those of all licences but Apache's."""
        if self.licences == [APACHE]:
            return [text for name, text in self.texts.items() if name.lower().startswith("notice")]
        own = [text for text in self.texts.values() if "Apache License" not in text[:400]]
        if not own:
            sys.exit(f"{self.name} is under {self.says} and has no licence text with it")
        return own


def paragraph(text):
    """A text as a field of Debian's form goes on: each line behind a blank."""
    lines = (line.rstrip().replace("\t", "    ").replace("\f", "") for line in text.strip("\n").splitlines())
    return "\n".join(f" {line}" if line else " ." for line in lines)


def copyright_file(packages):
    out = [
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        "Upstream-Name: dolmen\n"
        "Comment: The binary is linked statically with the packages below, each under its\n"
        " name and version in the registry of Rust's packages. Where one offers several\n"
        " licences, the one that was taken is named.",
        "Files: *\nCopyright: 2026 the authors of Dolmen\nLicense: Apache-2.0",
        "Files: rust/library/*\nCopyright: The Rust Project contributors\nLicense: Apache-2.0\n"
        "Comment: Rust's standard library.",
    ]
    texts = {}
    for package in packages:
        own = package.own_texts()
        name = " and ".join(package.licences)
        if own:
            text = "\n\n".join(paragraph(one) for one in own)
            # The same text under one name, another text under another.
            key = re.sub(r"\s+", " ", text)
            name = texts.setdefault(key, (f"{name.replace(' ', '-')}~{package.name}", text))[0]
        lines = package.copyright()
        holders = "\n".join([lines[0], *(f" {line}" for line in lines[1:])])
        out.append(
            f"Files: {package.name}-{package.version}/*\nCopyright: {holders}\nLicense: {name}\n"
            f"Comment: offered under {package.says}"
        )
    out.append(
        f"License: {APACHE}\n The whole text is in /usr/share/common-licenses/Apache-2.0 on Debian, and in\n"
        " /usr/share/licenses/dolmen/LICENSE where the package is an rpm."
    )
    out += [f"License: {name}\n{text}" for name, text in texts.values()]
    return "\n\n".join(out) + "\n"


def bill(packages, version, target, epoch):
    def component(package):
        url = f"pkg:cargo/{package.name}@{package.version}"
        return {
            "type": "library",
            "bom-ref": url,
            "name": package.name,
            "version": package.version,
            "purl": url,
            "licenses": [{"expression": package.says.replace("/", " OR ")}],
        }

    components = [component(package) for package in packages]
    ours = f"pkg:generic/dolmen@{version}"
    # The same list has the same number, in any build.
    listed = json.dumps([target, version, components], sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, listed)}",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
            "component": {
                "type": "application",
                "bom-ref": ours,
                "name": "dolmen",
                "version": version,
                "licenses": [{"expression": APACHE}],
                "properties": [{"name": "target", "value": target}],
            },
        },
        "components": components,
        "dependencies": [{"ref": ours, "dependsOn": [one["bom-ref"] for one in components]}],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--target", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    packages = [Package(one) for one in linked(asked.target)]
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    asked.out.joinpath("copyright").write_text(copyright_file(packages))
    sbom = bill(packages, asked.version, asked.target, epoch)
    asked.out.joinpath("sbom.cdx.json").write_text(json.dumps(sbom, indent=1) + "\n")
    print(f"{len(packages)} packages are linked in")


if __name__ == "__main__":
    main()
