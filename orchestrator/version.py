"""Which version of Pilotage this is."""

from importlib import metadata


def version() -> str:
    """Return the version of the installed package; ``unknown`` when it runs from a folder without being installed."""
    try:
        return metadata.version("pilotage")
    except metadata.PackageNotFoundError:
        return "unknown"
