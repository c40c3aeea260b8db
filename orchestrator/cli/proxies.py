"""Proxies for what goes out: their variables are read by the libraries and by Git, and this machine needs none."""

from collections.abc import MutableMapping

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def spare_loopback(environ: MutableMapping[str, str]) -> None:
    """Have no proxy asked for this machine's own addresses, which it could not reach.

    :param environ: gets ``no_proxy`` in both spellings, as some programs read one and some the other.
    """
    if not any(environ.get(name) or environ.get(name.upper()) for name in _PROXIES):
        return
    spared = [name.strip() for name in (environ.get("no_proxy") or environ.get("NO_PROXY") or "").split(",")]
    if spared != ["*"]:  # which is all, and nothing beside other names
        spared = [name for name in dict.fromkeys((*spared, *_LOOPBACK)) if name]
    environ["no_proxy"] = environ["NO_PROXY"] = ",".join(spared)
