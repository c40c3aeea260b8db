"""What Pilotage itself costs: from an accepted push to the first running stage, and CPU time per run.

The pushes are real and come one after the other; their environment is held, so that each run is checked and then
gives way to the next. The CPU time is measured twice: of runs whose stages do nothing (the orchestrator itself), and
of runs that do everything with an image that is there already, beside that of the Git processes that they start.
What the same processes take when idle is taken off, and the end of a run is read from the database: each question to
the product would cost it a tenth of a run.
"""

import time
from collections.abc import Callable

from orchestrator.sandbox import samples
from tests.benchmarks.measuring import cpu, quantile, spread
from tests.benchmarks.served_platform import ServedPlatform, at, served_platform

PER_ROUND = 20
IDLE = 10.0


def main(rounds: int = 5) -> None:
    """Print both."""
    with served_platform(module="tests.benchmarks.noop") as here:
        print("  CPU per run of stages that do nothing (goal 60 ms)")
        _cpu(here, ["v1", "v2"], rounds * PER_ROUND)
    with served_platform() as here:
        tags = [_built(here, f"Runs {number}") for number in range(2)]
        print("  CPU per run with a prebuilt image")
        _cpu(here, tags, rounds * PER_ROUND)
        _latency(here, rounds * PER_ROUND)


def _built(here: ServedPlatform, greeting: str) -> str:
    """Deploy a page once; return the tag of its image."""
    return str(here.finished(here.push(greeting))["image"]).rpartition(":")[2]


def _cpu(here: ServedPlatform, tags: list[str], count: int) -> None:
    idle = _rates(here, lambda: time.sleep(IDLE))
    took: list[float] = []

    def work() -> None:
        for number in range(count):
            took.append(here.ended(here.start(tags[number % 2])))

    before, begun = cpu(here.product.pid), time.monotonic()
    work()
    seconds, after = time.monotonic() - begun, cpu(here.product.pid)
    print(f"    {count} runs of {quantile(took, 0.5):.2f} s (median), by process:")
    total = 0.0
    for name, (own, helpers) in after.items():
        share = (own - before[name][0] - idle[name] * seconds) / count
        git = (helpers - before[name][1]) / count
        total += share
        print(f"    {name:<16} {share * 1000:>6.0f} ms, {git * 1000:>4.0f} ms in its Git processes")
    print(f"    together         {total * 1000:>6.0f} ms without Git")


def _rates(here: ServedPlatform, work: Callable[[], None]) -> dict[str, float]:
    """Return CPU seconds per second of each kind of process while `work` runs."""
    before, begun = cpu(here.product.pid), time.monotonic()
    work()
    seconds, after = time.monotonic() - begun, cpu(here.product.pid)
    return {name: (own - before[name][0]) / seconds for name, (own, _) in after.items()}


def _latency(here: ServedPlatform, count: int) -> None:
    here.api.post(f"/apps/{samples.APP}/environments/stg/hold", {"reason": "benchmark"})
    delays = []
    for number in range(count):
        run_id = here.push(f"Latency {number}")
        accepted = here.accepted_at()
        run = here.wait(run_id, lambda run: run["stages"][0]["finished_at"] is not None)
        delays.append(max(0.0, at(run["stages"][0]["started_at"]) - accepted))
    print(f"  accepted push to first stage running, {count} pushes: {spread(delays)} (goal p50 50 ms, p99 250 ms)")


if __name__ == "__main__":
    main()
