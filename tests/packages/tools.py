"""What the sets need of this machine, installed where it is missing."""

import os
import shutil

import install as clients

# A command, and the Debian package that brings it.
DEBIAN = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "dpkg-shlibdeps": "dpkg-dev",
    "objcopy": "binutils",
    "ip": "iproute2",
    "rpmbuild": "rpm",
    "lintian": "lintian",
    # The two are installed together or not at all.
    "rpmlint": "rpmlint e2fsprogs",
    "man": "man-db",
    "openssl": "openssl",
    "zstd": "zstd",
}


def install():
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    need(DEBIAN)


def need(packages):
    missing = [package for command, package in packages.items() if shutil.which(command) is None]
    if missing:
        clients.apt(" ".join(missing).split())
