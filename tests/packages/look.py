"""Prints in JSON which of the paths in a file one server does not have, or has
with other data, behind a sync.

look.py HOST PATHS_FILE [--ca FILE] [--auth USER:PASSWORD]"""

import argparse
import json
from pathlib import Path

from load import connected


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("hosts")
    parser.add_argument("paths", type=Path)
    parser.add_argument("--ca")
    parser.add_argument("--auth")
    asked = parser.parse_args()
    client = connected(asked)
    client.sync("/")
    paths = asked.paths.read_text().split()
    answers = [(path, client.get_async(path)) for path in paths]
    lacking = []
    for path, answer in answers:
        try:
            is_there = answer.get(timeout=60)[0] == path.encode()
        except Exception as error:
            is_there = False
            path = f"{path}: {error!r}"
        if not is_there:
            lacking.append(path)
    client.stop()
    client.close()
    print(json.dumps(lacking))


if __name__ == "__main__":
    main()
