"""Libraries without what they load where it happens to be installed: each process would pay for what nobody uses."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(package: str) -> Iterator[None]:
    """Have a package look as if it were not installed, for as long as the block imports another one."""
    there = sys.modules.get(package)
    sys.modules[package] = None  # type: ignore[assignment]  # what Python takes for "not there"
    try:
        yield
    finally:
        del sys.modules[package]
        if there is not None:
            sys.modules[package] = there
