"""Lengths of time as people write them."""

import re

_DURATION = re.compile(r"\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[smhd]?)\s*\Z")
NOTED = 5.0
"""Seconds of waiting that are told apart from work; any run waits a little between its stages."""
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str) -> float:
    """Read ``90``, ``90s``, ``10m``, ``1.5h`` or ``1d`` as seconds. :raises ValueError: it is none of these."""
    match = _DURATION.match(text)
    if match is None:
        raise ValueError("is not a length of time; write seconds or a number with a unit, as in `90s`, `10m` or `1h`")
    return float(match["number"]) * _SECONDS[match["unit"]]


def words(length: float) -> str:
    """Write seconds for people: ``4.2 s``, ``2m10s``, ``1h05m``."""
    if round(length, 1) < 10:
        return f"{length:.1f} s"
    minutes, rest = divmod(round(length), 60)
    if not minutes:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m"


def noted(waited: float) -> float:
    """Return a wait that is worth telling apart, or 0: a shorter one is left with the work."""
    return waited if waited >= NOTED else 0.0


def apart(length: float, waited: float) -> str:
    """Write work and waiting apart: ``2m10s, waited 31m42s``; only the length where there is no wait to tell."""
    wait = noted(waited)
    return f"{words(length - wait)}, waited {words(wait)}" if wait else words(length)


def short(length: float) -> str:
    """Write seconds as people write them into a file, in the largest unit that fits: ``90d``, ``10m``, ``45s``."""
    for unit in "dhm":
        if length and length % _SECONDS[unit] == 0:
            return f"{length / _SECONDS[unit]:g}{unit}"
    return f"{length:g}s"
