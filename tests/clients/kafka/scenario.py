"""Scenarios: functions with a name in words, each of which raises where it saw
something else than it says. `main` plays them against the brokers of the command
line and prints a line each, in the form that `sets/kafka_scenarios.py` reads:

    PROGRAM BROKERS [quick|full] [WORDS...]    only those whose name holds one"""

import signal
import sys
import time
import traceback
import uuid

SCENARIOS = []
# Most take a second or two; a group waits for its members and for sessions to end.
SECONDS = 90


class Saw(Exception):
    """Something else than what the scenario says."""


def scenario(name, full=False, seconds=SECONDS):
    """`full`: it waits long, so that the quick run leaves it out."""

    def put(play):
        SCENARIOS.append((name, play, full, seconds))
        return play

    return put


def same(what, found, wanted):
    if found != wanted:
        raise Saw(f"{what}: {short(found)} in place of {short(wanted)}")


def holds(condition, saw):
    if not condition:
        raise Saw(saw)


def short(value):
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:150]} ... {text[-40:]}"


def name(stem):
    """One that nobody has used."""
    return f"{stem}-{uuid.uuid4().hex[:10]}"


def until(what, condition, seconds=20, every=0.1):
    """The condition's first true value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise Saw(f"after {seconds} s still not so: {what}")
        time.sleep(every)


def main():
    brokers, extent, words = sys.argv[1], (sys.argv[2:3] or ["full"])[0], sys.argv[3:]

    def too_long(*_):
        raise Saw("no end in time")

    signal.signal(signal.SIGALRM, too_long)
    played = 0
    for title, play, full, seconds in SCENARIOS:
        if words and not any(word in title for word in words):
            continue
        if full and extent == "quick":
            continue
        began = time.monotonic()
        signal.alarm(seconds)
        try:
            play(brokers)
            said = f"ok {title}"
        except Saw as saw:
            said = f"FAILED {title}: {saw}"
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)
            ours = [step for step in place if step.filename == play.__code__.co_filename]
            line = (ours or place)[-1].lineno
            said = f"FAILED {title}: line {line}: {type(error).__name__}: {error}"
        finally:
            signal.alarm(0)
        played += 1
        print(f"{' '.join(said.split())} ({time.monotonic() - began:.1f} s)", flush=True)
    print(f"played {played}", flush=True)
