"""Whether this is the build server, where nothing that is missing may be skipped."""

import os


def in_ci() -> bool:
    """Tell whether CI is set, and not to a no; ``.ci/run`` sets it."""
    return os.environ.get("CI", "").strip().lower() not in ("", "0", "false")
