"""Clients that write until a file appears, retry what was cut off as clients
do, and then say in JSON what was acknowledged to them, whatever else they met,
and how long they waited at most. Runs by the interpreter that has kazoo.

load.py HOSTS STOP_FILE [--ca FILE] [--auth USER:PASSWORD] [--clients N]"""

import argparse
import json
import threading
import time
from pathlib import Path

from kazoo.client import KazooClient
from kazoo.exceptions import (
    ConnectionClosedError,
    ConnectionLoss,
    NodeExistsError,
    OperationTimeoutError,
    SessionExpiredError,
)
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.security import make_digest_acl

# What a client that goes to another server and asks again is told.
PASSING = (ConnectionLoss, ConnectionClosedError, OperationTimeoutError, KazooTimeoutError)
PACE = 0.002
# A write that is not taken for this long will not be.
PATIENCE = 60


class Writer(threading.Thread):
    def __init__(self, number, asked):
        super().__init__(daemon=True)
        self.number, self.asked = number, asked
        self.acked, self.errors, self.longest, self.expired, self.retries = 0, [], 0.0, 0, 0

    def run(self):
        try:
            self._write()
        except Exception as error:
            self.errors.append(repr(error))

    def _write(self):
        client = connected(self.asked)
        # None while the client is between two connections.
        sessions = {client.client_id}
        while not Path(self.asked.stop).exists():
            began = time.monotonic()
            self._until_taken(client, f"/load/{self.number}-{self.acked:08}", began)
            self.longest = max(self.longest, time.monotonic() - began)
            self.acked += 1
            sessions.add(client.client_id)
            # Leaves the processors to the servers.
            time.sleep(PACE)
        self.expired = len(sessions - {None}) - 1
        client.stop()
        client.close()

    def _until_taken(self, client, path, began):
        is_again = False
        while True:
            try:
                client.create(path, path.encode(), acl=acl(self.asked))
                return
            except NodeExistsError:
                # The answer was lost, and the write was not.
                if not is_again:
                    raise
                return
            except (*PASSING, SessionExpiredError):
                if time.monotonic() - began > PATIENCE:
                    raise
                is_again = True
                self.retries += 1
                time.sleep(0.02)


def connected(asked):
    tls = {"use_ssl": True, "ca": asked.ca, "verify_certs": True} if asked.ca else {}
    auth = [("digest", asked.auth)] if asked.auth else None
    client = KazooClient(asked.hosts, timeout=10, auth_data=auth, **tls)
    client.start(timeout=60)
    return client


def acl(asked):
    if not asked.auth:
        return None
    user, password = asked.auth.split(":")
    return [make_digest_acl(user, password, all=True)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("hosts")
    parser.add_argument("stop")
    parser.add_argument("--ca")
    parser.add_argument("--auth")
    parser.add_argument("--clients", type=int, default=4)
    asked = parser.parse_args()
    client = connected(asked)
    client.ensure_path("/load")
    client.stop()
    client.close()
    writers = [Writer(number, asked) for number in range(asked.clients)]
    for writer in writers:
        writer.start()
    print("begun", flush=True)
    for writer in writers:
        writer.join()
    print(
        json.dumps(
            {
                "acked": {writer.number: writer.acked for writer in writers},
                "errors": [error for writer in writers for error in writer.errors],
                "longest_ms": round(1000 * max(writer.longest for writer in writers)),
                "expired": sum(writer.expired for writer in writers),
                "retries": sum(writer.retries for writer in writers),
            }
        )
    )


if __name__ == "__main__":
    main()
