"""The real Docker engine for tests, and images that need no internet."""

import io
import os
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

from orchestrator.domain.errors import PilotageError
from tests.support.needs import require
from workers.clients.docker import Engine
from workers.clients.engine_requests import CallControl

BUSYBOX = Path("/bin/busybox")
"""A static program (Debian package `busybox-static`)."""
TEST_LABEL = "dev.pilotage.test"


def require_engine() -> Engine:
    """Return the engine; without one, skip, or fail where CI says that it must be there."""
    missing = ""
    engine = Engine(os.environ.get("PILOTAGE_TEST_ENGINE", ""))
    try:
        engine.ping()
    except PilotageError as error:
        missing = f"no Docker engine: {error.evidence}"
    if not missing and not BUSYBOX.is_file():
        missing = "no /bin/busybox (package busybox-static)"
    if not missing and shutil.which("docker-registry") is None:
        missing = "no docker-registry (package docker-registry)"
    require(not missing, missing)
    return engine


def tar_of(files: Mapping[str, bytes | str]) -> bytes:
    """Pack `files`; a text is a file, bytes under ``bin/`` are programs."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755 if name.startswith("bin/") else 0o644
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


class Journal:
    """Collects the lines of a build and can stop it: `stop_when` is asked at each checkpoint."""

    def __init__(self, deadline: float = 60.0) -> None:
        self.lines: list[str] = []
        self.checkpoints = 0
        self.stop: Exception | None = None
        self.control = CallControl(on_line=self.lines.append, checkpoint=self._checkpoint, deadline=deadline)

    def _checkpoint(self) -> None:
        self.checkpoints += 1
        if self.stop is not None:
            raise self.stop

    @property
    def text(self) -> str:
        return "\n".join(self.lines)
