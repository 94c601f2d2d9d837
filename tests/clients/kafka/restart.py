"""Records and commits that a broker has acknowledged, written until it is killed
and counted when it is back.

    restart.py write BROKERS TOPIC GROUP FILE    until its standard input ends
    restart.py read BROKERS TOPIC GROUP FILE     what of it is there, as JSON

FILE has a line for each acknowledgement, written when it came: `record PARTITION
OFFSET NUMBER` or `commit PARTITION OFFSET`."""

import faulthandler
import json
import signal
import sys
import threading

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

PARTITIONS = 4
# Brokers that are gone are looked for until they are back.
SECONDS = 60


class Quiet:
    def log(self, *_):
        pass


def addressed(brokers):
    # Where all its brokers are gone for a while, librdkafka 2.16 begins anew, and what
    # it was to ask of a group's coordinator waits for ever for the broker that it has
    # given up. So it stays with those it knows, and tries them often.
    return {
        "bootstrap.servers": brokers,
        "logger": Quiet(),
        "metadata.recovery.strategy": "none",
        "reconnect.backoff.max.ms": 500,
    }


def write(brokers, topic, group, file):
    # Where each thread stands, for whom it does not end.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    ends = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ends.set()), daemon=True).start()
    lines, lock = open(file, "a"), threading.Lock()

    def note(line):
        with lock:
            lines.write(line + "\n")
            lines.flush()

    def reported(error, message):
        if error is None:
            note(f"record {message.partition()} {message.offset()} {int(message.value())}")

    writer = Producer(
        {
            **addressed(brokers),
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 2,
            "delivery.timeout.ms": 1000 * SECONDS,
        }
    )
    # Those before may have been written and not acknowledged: not again the same.
    records, commits = acknowledged(file)
    number = max(records.values(), default=0) + 1_000_000
    offset = max(commits.values(), default=0)
    committer = threading.Thread(target=commit, args=(brokers, topic, group, offset, note, ends))
    committer.start()
    print("writing", flush=True)
    while not ends.is_set():
        for _ in range(20):
            number += 1
            writer.produce(
                topic, b"%d" % number, partition=number % PARTITIONS, on_delivery=reported
            )
        writer.poll(0)
        ends.wait(0.01)
        # As fast as the broker takes it, and no further ahead.
        while len(writer) > 200 and not ends.is_set():
            writer.poll(0.05)
    # What was sent and not acknowledged is nobody's promise.
    writer.flush(1)
    committer.join(SECONDS)
    lines.close()


def commit(brokers, topic, group, offset, note, ends):
    """Commits ever larger offsets for each partition, by a group without members."""
    reader = Consumer(
        {
            **addressed(brokers),
            "group.id": group,
            "enable.auto.commit": False,
        }
    )
    while not ends.is_set():
        offset += 1
        places = [TopicPartition(topic, partition, offset) for partition in range(PARTITIONS)]
        try:
            for place in reader.commit(offsets=places, asynchronous=False) or []:
                if place.error is None:
                    note(f"commit {place.partition} {place.offset}")
        except KafkaException:
            ends.wait(0.2)
        ends.wait(0.02)
    reader.close()


def acknowledged(file):
    """Records by partition and offset; the last commit of each partition."""
    records, commits = {}, {}
    for line in open(file):
        match line.split():
            case ["record", partition, offset, number]:
                records[int(partition), int(offset)] = int(number)
            case ["commit", partition, offset]:
                commits[int(partition)] = max(int(offset), commits.get(int(partition), 0))
    return records, commits


def read(brokers, topic, group, file):
    records, commits = acknowledged(file)
    found = all_records(brokers, topic)
    lost = sorted(place for place in records if place not in found)
    other = sorted(place for place in records if place in found and found[place] != records[place])
    numbers = list(found.values())
    # Each partition was written by an idempotent producer in rising order.
    twice = len(numbers) - len(set(numbers))
    disordered = sum(
        1
        for partition in range(PARTITIONS)
        for one, next_ in in_pairs([found[p, o] for p, o in sorted(found) if p == partition])
        if next_ <= one
    )
    reader = Consumer({**addressed(brokers), "group.id": group})
    places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
    kept = {place.partition: place.offset for place in reader.committed(places, SECONDS)}
    reader.close()
    back = {p: (kept[p], offset) for p, offset in commits.items() if kept.get(p, -1) < offset}
    print(
        json.dumps(
            {
                "acknowledged": len(records),
                "found": len(found),
                "lost": lost[:5],
                "lost_count": len(lost),
                "other": other[:5],
                "twice": twice,
                "disordered": disordered,
                "commits": len(commits),
                "commits_back": back,
            }
        )
    )


def in_pairs(values):
    return zip(values, values[1:])


def all_records(brokers, topic):
    reader = Consumer(
        {
            **addressed(brokers),
            "group.id": "counts",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
        }
    )
    ends = {
        p: reader.get_watermark_offsets(TopicPartition(topic, p), SECONDS)
        for p in range(PARTITIONS)
    }
    reader.assign(
        [TopicPartition(topic, p, OFFSET_BEGINNING) for p in ends if ends[p][1] > ends[p][0]]
    )
    left = {p: end for p, (first, end) in ends.items() if end > first}
    found = {}
    while left:
        messages = reader.consume(500, 20)
        if not messages:
            break
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
            partition, offset = message.partition(), message.offset()
            found[partition, offset] = int(message.value())
            if offset + 1 >= left.get(partition, 0):
                left.pop(partition, None)
    reader.close()
    return found


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](*sys.argv[2:])
