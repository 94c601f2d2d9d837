"""One file a set: `prepare` installs, `run` plays it against a target, `QUICK`
tells whether the quick run takes it, `DOOR` which of the target's it goes through
(ZooKeeper's where it says nothing)."""

from sets import (
    c_client,
    curator,
    golden,
    kafka_hostile,
    kafka_python,
    kafka_restart,
    kafka_scenarios,
    kazoo_suite,
    librdkafka,
    spark,
    tutorials,
    zkcli,
)

SETS = {
    "golden": golden,
    "zkcli": zkcli,
    "c": c_client,
    "kazoo": kazoo_suite,
    "curator": curator,
    "tutorials": tutorials,
    "spark": spark,
    "kafka-scenarios": kafka_scenarios,
    "kafka-hostile": kafka_hostile,
    "kafka-restart": kafka_restart,
    "kafka-python": kafka_python,
    "librdkafka": librdkafka,
}
