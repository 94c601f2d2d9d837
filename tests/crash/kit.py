"""What the crash scripts share: the binary, a folder that goes away, and a
`dolmen log append` that is fed numbered lines and listened to."""

import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def seed():
    """DOLMEN_SEED repeats the same choices; the machine's timing it cannot repeat."""
    value = int(os.environ.get("DOLMEN_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"DOLMEN_SEED={value}", flush=True)
    return random.Random(value)


def fail(says):
    print(f"FAILED: {says}", flush=True)
    sys.exit(1)


class Folder:
    """A folder of its own, gone at the end."""

    def __enter__(self):
        self.path = Path(tempfile.mkdtemp(prefix="dolmen-crash-"))
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def binary(folder):
    """A copy of the release binary: another build must not change it half-way."""
    given = os.environ.get("DOLMEN")
    if given is None:
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
        target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
        given = Path(target) / "release" / "dolmen"
    copy = Path(folder) / "dolmen"
    shutil.copy2(given, copy)
    return copy


class Append:
    """`dolmen log append`, fed by one thread and listened to by two. Lines are
    answered in order, so the n-th offset is the n-th line's."""

    def __init__(self, command, lines, prepare=None):
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=prepare,
        )
        self.sent = []
        self.offsets = []
        self.said = []
        self.news = queue.Queue()
        threads = [
            threading.Thread(target=self._feed, args=(lines,), daemon=True),
            threading.Thread(target=self._listen, daemon=True),
            threading.Thread(target=self._hear, daemon=True),
        ]
        for thread in threads:
            thread.start()
        self.threads = threads

    def _feed(self, lines):
        try:
            for line in lines:
                self.sent.append(line)
                self.process.stdin.write(line + b"\n")
                self.process.stdin.flush()
            self.process.stdin.close()
        except (BrokenPipeError, ValueError, OSError):
            pass

    def _listen(self):
        for line in self.process.stdout:
            # A last line without its end may be half a number.
            if line.endswith(b"\n"):
                self.offsets.append(int(line))

    def _hear(self):
        for line in self.process.stderr:
            self.said.append(line.decode().rstrip())
            self.news.put(self.said[-1])

    def wait_for_offsets(self, count, seconds=60):
        end = time.monotonic() + seconds
        while len(self.offsets) < count and time.monotonic() < end:
            if self.process.poll() is not None:
                break
            time.sleep(0.002)
        if len(self.offsets) < count:
            fail(f"only {len(self.offsets)} of {count} offsets came; it said {self.said[-3:]}")

    def end(self, how=None):
        """Sends a signal where one is given, and gathers all that was said."""
        if how is not None:
            self.process.send_signal(how)
        self.process.wait(timeout=120)
        for thread in self.threads[1:]:
            thread.join()
        return self.process.returncode

    def kill(self):
        return self.end(signal.SIGKILL)

    def acknowledged(self):
        return dict(zip(self.offsets, self.sent))


def read(dolmen, folder, log=1, start=None):
    """What `dolmen log read` gives, by offset, and what it said."""
    command = [str(dolmen), "log", "read", "--dir", str(folder), "--log", str(log), "--offsets"]
    if start is not None:
        command += ["--from", str(start)]
    done = subprocess.run(command, capture_output=True)
    if done.returncode != 0:
        return None, done.stderr.decode().strip()
    found = {}
    for line in done.stdout.splitlines():
        offset, _, payload = line.partition(b"\t")
        found[int(offset)] = payload
    return found, done.stderr.decode().strip()


def missing(acknowledged, found):
    """Offsets that were acknowledged and are not there as they were sent."""
    return [offset for offset, line in acknowledged.items() if found.get(offset) != line]
