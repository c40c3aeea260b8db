"""The children of a process, by name."""

import subprocess


def children(parent: int, name: str) -> list[int]:
    """Return the children of a process whose name contains `name`."""
    command = ["ps", "-o", "pid=,comm=", "--ppid", str(parent)]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if name in line]
