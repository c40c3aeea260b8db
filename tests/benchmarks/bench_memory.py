"""The memory of the whole idle product: every process of ``pilotage up``, the broker included.

The proportional set size shares what several processes have in common among them, so that their sum is what the
product really takes. "Idle" is after one deploy: then each process has loaded what it needs.
"""

import time

from tests.benchmarks.measuring import pss, title, tree
from tests.benchmarks.served_platform import served_platform

GOAL = 200
SETTLE = 3.0


def main(rounds: int = 5) -> None:
    """Print the memory of each process and the sum."""
    with served_platform() as here:
        fresh = sum(pss(pid)[0] for pid in tree(here.product.pid))
        for number in range(rounds):
            here.finished(here.push(f"Memory {number}"))
        time.sleep(SETTLE)
        rows = [(*pss(pid), title(pid)) for pid in tree(here.product.pid)]
        print(f"  {'PSS':>8} {'private':>8}")
        for share, private, name in rows:
            print(f"  {share:>5.1f} MB {private:>5.1f} MB  {name[:90]}")
        total = sum(row[0] for row in rows)
        print(f"  {total:>5.1f} MB in {len(rows)} processes after {rounds} deploys (goal under {GOAL} MB)")
        print(f"  {fresh:>5.1f} MB just started")


if __name__ == "__main__":
    main()
