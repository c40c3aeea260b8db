"""Where a request has led to, as the browser has it: with the path under which we are served."""

import re
from urllib.parse import unquote

from flask import request

_STEPS = frozenset({".", ".."})


def path() -> str:
    """Return the path that was asked for."""
    return request.script_root + request.path


def address() -> str:
    """Return the path that was asked for, with its query."""
    return (request.script_root + request.full_path).rstrip("?")


def home() -> str:
    """Return the path of the page to go to where nobody says which."""
    return f"{request.script_root}/runs"


def is_ours(target: str) -> bool:
    """Tell whether an address that anybody may have sent leads a browser to a path of ours, and to no other site."""
    if not target.startswith("/") or target.startswith(("//", "/\\")) or not target.isprintable():
        return False
    root = request.script_root
    if not root:
        return True
    there = re.split(r"[?#]", target)[0]
    steps = re.split(r"[/\\]", unquote(there))  # a browser takes a backslash for a slash, and %2e for a dot
    return f"{there}/".startswith(f"{root}/") and _STEPS.isdisjoint(steps)
