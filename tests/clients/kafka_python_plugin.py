"""A pytest plugin for kafka-python's suite: stands in for the part of its harness
that its source distribution lacks, leaves out what is asked for nowhere but in
Kafka itself, and writes down what came of it."""

import os
import sys
import types

import pytest
from kafka import KafkaConsumer

import pytest_report

# The target, by what a test asks for and why that is not held against it.
OUT_OF_SCOPE = {
    "test_describe_metadata_quorum": "asks for the voters of Kafka's own __cluster_metadata",
    "test_alter_replica_log_dirs": "moves copies between the disks of a broker",
    "test_create_partitions": "puts partitions on a broker numbered 0, and ours begin at 1",
    "test_list_config_resources": "ListConfigResources is for client metrics",
    "test_ssl_handshake": "starts a broker of Kafka's own distribution",
    "test_legacy_kafka_client_ssl": "starts a broker of Kafka's own distribution",
}


class ExternalService:
    """A broker that somebody else started."""

    def __init__(self, host, port):
        self.host, self.port = host, port

    def start(self):
        pass

    def stop(self):
        pass


class SpawnedService:
    """A broker of Kafka's own distribution, of which there is none here."""

    def __init__(self, *_, **__):
        pytest.skip("starts brokers of Kafka's own distribution")


# The source distribution has no test/__init__.py, so that Python's own `test` would
# be found.
package = types.ModuleType("test")
package.__path__ = [os.path.join(os.environ["DOLMEN_KAFKA_PYTHON"], "test")]
sys.modules["test"] = package
service = types.ModuleType("test.service")
service.ExternalService, service.SpawnedService = ExternalService, SpawnedService
sys.modules["test.service"] = service


# A consumer that subscribes while it is told of the brokers for the first time may not
# ask for its topics before it looks anew, by default after five minutes: one in a
# hundred, seen in its own log ("Sleeping 299.99 seconds for next Metadata refresh").
KafkaConsumer.DEFAULT_CONFIG["metadata_max_age_ms"] = 1000


def pytest_collection_modifyitems(items):
    for item in items:
        why = OUT_OF_SCOPE.get(item.originalname)
        if why is not None:
            item.add_marker(pytest.mark.skip(reason=why))


def pytest_terminal_summary(terminalreporter):
    pytest_report.write(terminalreporter, os.environ["DOLMEN_PYTEST_REPORT"], "test/integration/")
