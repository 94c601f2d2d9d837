"""What no client says: broken batches, wrong places, wrong generations, lies about
lengths. Each row names the error codes that Kafka answers, and whether the
connection stays. Played by raw bytes, see raw.py."""

import importlib

import scenario

for part in ("produce", "read", "connections"):
    importlib.import_module(f"hostile_{part}")

if __name__ == "__main__":
    scenario.main()
