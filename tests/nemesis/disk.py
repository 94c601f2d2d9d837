"""A small ext4 of its own for one node's data, which can be filled."""

import errno
import os
import subprocess


# Sparse: it takes what is written to it. The original keeps every log of a run
# of some minutes.
DISK_MIB = 4096


class SmallDisk:
    def __init__(self, folder):
        self.image, self.path = folder / "disk", folder / "small"

    def __enter__(self):
        with open(self.image, "wb") as image:
            image.truncate(DISK_MIB << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", self.image], check=True)
        self.path.mkdir()
        subprocess.run(["mount", "-o", "loop", self.image, self.path], check=True)
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", self.path], check=True)

    def fill(self):
        """Takes all that is left, in ever smaller pieces."""
        with open(self.path / "ballast", "wb") as file:
            end, piece = 0, 16 << 20
            while piece >= 4096:
                try:
                    os.posix_fallocate(file.fileno(), end, piece)
                    end += piece
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    piece //= 2
        return end

    def clear(self):
        (self.path / "ballast").unlink(missing_ok=True)
