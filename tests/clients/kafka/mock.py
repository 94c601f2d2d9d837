"""librdkafka's mock cluster: says where its three brokers are, and lives until it
is ended."""

import signal

from confluent_kafka import Producer

owner = Producer({"test.mock.num.brokers": 3, "bootstrap.servers": "127.0.0.1:1"})
brokers = owner.list_topics(timeout=10).brokers.values()
print("brokers " + ",".join(f"{broker.host}:{broker.port}" for broker in brokers), flush=True)
signal.pause()
