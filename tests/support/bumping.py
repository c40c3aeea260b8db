"""Changing one value of a text."""

from orchestrator.domain.changes import Edit
from workers.gitops.values import edit


def bump(source, path, value="sha-1"):
    """Edit one value of a text and return the text."""
    return edit(source.encode(), [Edit(path=path, value=value)]).raw.decode()
