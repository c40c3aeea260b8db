"""What every benchmark needs: quantiles, one line of a table, the machine's load, and the cost of a process tree."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import ParamSpec

P = ParamSpec("P")
_TICK = os.sysconf("SC_CLK_TCK")


def timed(work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> float:
    """Return the seconds that `work` takes."""
    begun = time.perf_counter()
    work(*args, **kwargs)
    return time.perf_counter() - begun


def quantile(values: Sequence[float], part: float) -> float:
    """Return the smallest value that at least `part` (0 to 1) of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * int(part * 1000) // 1000) - 1))]


def ms(seconds: float) -> str:
    """Word a duration."""
    return f"{seconds * 1000:.0f} ms"


def spread(values: Sequence[float]) -> str:
    """Word p50, p99 and the worst of some durations in seconds."""
    return f"p50 {ms(quantile(values, 0.5))}, p99 {ms(quantile(values, 0.99))}, worst {ms(max(values))}"


def compare(name: str, ours: Sequence[float], base: Sequence[float], goal: str = "") -> None:
    """Print medians side by side with the ratio and the difference of the medians."""
    mine, other = median(ours), median(base)
    wanted = f"   (goal {goal})" if goal else ""
    print(f"  {name:<44} {ms(mine):>9} {ms(other):>9}  ratio {mine / other:5.2f}  +{ms(mine - other)}{wanted}")


def load() -> str:
    """Say how busy the machine is: a result counts for little on a machine that does something else."""
    one, five, _ = os.getloadavg()
    return f"load {one:.1f} (1 min), {five:.1f} (5 min), {os.cpu_count()} cores"


def tree(root: int) -> list[int]:
    """List a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int(_fields(int(entry.name))[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def cpu(root: int) -> dict[str, tuple[float, float]]:
    """Return the CPU seconds (user and system) of a tree by process name: its own, and of children that it reaped.

    The second figure is what short-lived helpers (Git) cost.
    """
    found: dict[str, tuple[float, float]] = {}
    for pid in tree(root):
        try:
            name, fields = title(pid), _fields(pid)
        except OSError:
            continue
        own, helpers = found.get(name, (0.0, 0.0))
        user, system, their_user, their_system = (int(field) / _TICK for field in fields[11:15])
        found[name] = own + user + system, helpers + their_user + their_system
    return found


def pss(pid: int) -> tuple[float, float]:
    """Return the memory of a process in MB: its proportional share, and what only it has; of one that is over, 0."""
    found = {"Pss:": 0.0, "Private_Clean:": 0.0, "Private_Dirty:": 0.0}
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0, 0.0
    for line in lines:
        words = line.split()
        if words[0] in found:
            found[words[0]] = int(words[1]) / 1024
    return found["Pss:"], found["Private_Clean:"] + found["Private_Dirty:"]


def title(pid: int) -> str:
    """Return the name of a process."""
    return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()


def _fields(pid: int) -> list[str]:
    """Return the fields of ``/proc/<pid>/stat`` from the state on: 0 state, 1 parent, 11 to 14 the CPU times."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
