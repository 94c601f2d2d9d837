"""Stands in for two scripts of Kafka's distribution where librdkafka's tests call
them: kafka-topics.sh --create, and kafka-acls.sh --add and --remove.

    scripts.py topics|acls ARGUMENTS OF THE SCRIPT"""

import argparse
import sys

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

SECONDS = 30


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("script", choices=("topics", "acls"))
    parser.add_argument("--bootstrap-server", required=True)
    parser.add_argument("--topic", required=True)
    for flag in ("--create", "--add", "--remove", "--force"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--partitions", type=int, default=-1)
    parser.add_argument("--replication-factor", type=int, default=-1)
    parser.add_argument("--config", action="append", default=[])
    parser.add_argument("--operation")
    for permission in ("allow", "deny"):
        parser.add_argument(f"--{permission}-principal")
        parser.add_argument(f"--{permission}-host")
    asked = parser.parse_args()
    client = AdminClient({"bootstrap.servers": asked.bootstrap_server})
    if asked.script == "topics" and asked.create:
        config = dict(one.split("=", 1) for one in asked.config)
        shape = (asked.partitions, asked.replication_factor)
        answers = client.create_topics([NewTopic(asked.topic, *shape, config=config)])
    elif asked.script == "acls" and asked.add:
        answers = client.create_acls([AclBinding(*rule(asked))])
    elif asked.script == "acls" and asked.remove:
        answers = client.delete_acls([AclBindingFilter(*rule(asked))])
    else:
        parser.error("that is not stood in for")
    for answer in answers.values():
        answer.result(SECONDS)


def rule(asked):
    is_allowed = asked.allow_principal is not None
    permission = AclPermissionType.ALLOW if is_allowed else AclPermissionType.DENY
    who = asked.allow_principal or asked.deny_principal
    host = asked.allow_host or asked.deny_host
    operation = AclOperation[asked.operation.upper()]
    literal = ResourcePatternType.LITERAL
    return ResourceType.TOPIC, asked.topic, literal, who, host, operation, permission


if __name__ == "__main__":
    sys.exit(main())
