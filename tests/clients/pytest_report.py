"""What came of a pytest run, as JSON for the set that started it."""

import json


def write(terminalreporter, path, tests):
    """`tests` is the folder behind which a test's short name begins."""
    stats = terminalreporter.stats
    short = lambda report: report.nodeid.rpartition(tests)[2]
    failed = {short(r): r for kind in ("failed", "error") for r in stats.get(kind, [])}
    found = {
        "passed": len(stats.get("passed", [])),
        "failed": [f"{name}: {_reason(report)}" for name, report in failed.items()],
        "skipped": [f"{short(r)}: {r.longrepr[2]}" for r in stats.get("skipped", [])],
        "slowest": sorted(
            ((round(r.duration, 1), short(r)) for r in stats.get("passed", [])), reverse=True
        )[:25],
    }
    with open(path, "w") as report:
        json.dump(found, report)


def _reason(report):
    crash = getattr(report.longrepr, "reprcrash", None)
    said = crash.message if crash else str(report.longrepr)
    return " ".join(said.split())[:300]
