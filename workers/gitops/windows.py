"""Does a sync window keep Argo CD from syncing by itself? Its controller only logs that; its API can be asked."""

from collections.abc import Mapping, Sequence
from typing import Any

from workers.gitops.words import one_line
from workers.shapes import Json, mapping, mappings, text

__all__ = ["blocking_window"]

_SHOWN = 3
"""Windows that are named."""


def blocking_window(windows: Mapping[str, Any]) -> str:
    """Name what blocks automated syncs; "" when nothing does.

    The rule is that of Argo CD (``SyncWindows.CanSync`` for automated syncs): an open deny window blocks; else an
    open allow window lets through; else any allow window that is closed blocks. ``canSync`` of the answer is no help:
    it is that of manual syncs, which a window may let through while it blocks the automated ones.

    :param windows: of ``GET /api/v1/applications/{name}/syncwindows``. Odd shapes are passed over.
    """
    windows = mapping(windows)
    active, assigned = mappings(windows.get("activeWindows")), mappings(windows.get("assignedWindows"))
    denying, allowing = _of("deny", active), _of("allow", assigned)
    if denying:
        return f"a sync window denies syncs now ({_told(denying)})"
    if allowing and not _of("allow", active):
        return f"sync windows allow syncs only at other times ({_told(allowing)})"
    return ""


def _of(kind: str, windows: Sequence[Json]) -> list[Json]:
    return [one for one in windows if one.get("kind") == kind]


def _told(windows: Sequence[Json]) -> str:
    each = (f"{text(one.get('schedule')) or '?'} for {text(one.get('duration')) or '?'}" for one in windows[:_SHOWN])
    return one_line(", ".join(each))
