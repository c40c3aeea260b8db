"""Run benchmarks: ``python -m tests.benchmarks [NAME ...]``; without names all of them, one after the other.

Each prints medians of at least five rounds beside what they are held against, measured in the same run.
"""

import importlib
import sys
import time

from tests.benchmarks.measuring import load

BENCHMARKS = {
    "overhead": "from an accepted push to the GitOps commit, beside its bare parts and a shell pipeline",
    "runs": "from an accepted push to the first stage, and the CPU time of a run",
    "healthy": "from Argo CD's Healthy to ours, with and without its stream",
    "memory": "the idle product's memory, by process",
    "contention": "many apps changed at once, alone and beside a foreign writer",
    "commit": "one change in a GitOps repo of 10,000 apps, beside bare Git",
    "metrics": "one scrape, with no run and with 100,000 in the tables",
    "waiting": "requests to Argo CD while 10 and 1,000 runs wait",
    "webhooks": "hooks accepted per second, beside Debian's webhook",
}


def main(names: list[str]) -> int:
    """Run the named benchmarks; return the exit code."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    for name in names or BENCHMARKS:
        print(f"\n── {name}: {BENCHMARKS[name]}   [{load()}]", flush=True)
        begun = time.monotonic()
        importlib.import_module(f"tests.benchmarks.bench_{name}").main()
        print(f"   took {time.monotonic() - begun:.0f} s   [{load()}]", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
