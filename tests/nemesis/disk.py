"""A small ext4 of its own for one node's data, which can be filled."""

import errno
import os
import subprocess


class SmallDisk:
    def __init__(self, folder, mib):
        self.image, self.path, self.mib = folder / "disk", folder / "small", mib

    def __enter__(self):
        with open(self.image, "wb") as image:
            image.truncate(self.mib << 20)
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

    def left(self):
        disk = os.statvfs(self.path)
        return disk.f_bavail * disk.f_frsize

    def clear(self):
        (self.path / "ballast").unlink(missing_ok=True)
