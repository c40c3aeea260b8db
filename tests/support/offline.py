"""`pilotage up` alone: a valid configuration whose services are addresses on loopback where nobody answers."""

import json
import re
from pathlib import Path

from orchestrator.cli.product import Product, free_address
from tests.support.configs import ENVIRON, VALID

NOBODY = "http://127.0.0.1:9"
"""The port of `discard`, which nobody serves any more."""
_NOTIFY = re.compile(r"^notify:\n(  .*\n)+", re.MULTILINE)
_OUTSIDE = re.compile(r"https://\w+\.example\.com")


def configuration(bind: str, **server: object) -> str:
    """Write a configuration for `bind`."""
    return f"server: {json.dumps({'bind': bind, **server})}\n" + _OUTSIDE.sub(NOBODY, _NOTIFY.sub("", VALID))


def product(folder: Path) -> Product:
    """Make a `pilotage up` in a folder; it is not started."""
    bind = free_address()
    return Product(folder, bind, configuration(bind), ENVIRON)
