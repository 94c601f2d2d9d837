"""What librdkafka sees of a broker, by confluent-kafka: the scenarios of all parts,
in their order."""

import importlib

import scenario

for part in ("data", "groups", "topics", "transactions"):
    importlib.import_module(f"confluent_{part}")

if __name__ == "__main__":
    scenario.main()
