"""A base image without the internet: the machine's own BusyBox, imported and pushed to the sandbox's registry."""

import io
import shutil
import subprocess
import tarfile
from contextlib import closing
from pathlib import Path

import docker

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.sandbox.argocd_engine import words_of

_APPLETS = ("sh", "httpd", "cat", "ls", "echo", "sleep", "true", "false", "env", "id", "wget")


def find_busybox() -> Path:
    """Return the machine's BusyBox. :raises Refused: it has none, with what to install."""
    found = shutil.which("busybox")
    if found is None:
        raise Refused(Reason.ENGINE_REFUSED, "busybox is not installed; install the package busybox-static")
    return Path(found).resolve()


def push_base_image(docker_host: str, reference: str, auth: dict[str, str]) -> None:
    """Make an image of BusyBox and push it as `reference`.

    :param auth: ``username`` and ``password`` of the registry.
    :raises Refused, Unavailable: the engine or the registry said no, or did not answer.
    """
    repository, _, tag = reference.rpartition(":")
    changes = ["ENV PATH=/bin", 'CMD ["/bin/sh"]', "LABEL dev.pilotage.sandbox=base"]
    try:
        with closing(docker.APIClient(base_url=docker_host or None, version="auto", timeout=60)) as engine:
            engine.import_image_from_data(_tar(), repository=repository, tag=tag, changes=changes)
            for line in engine.push(repository, tag=tag, stream=True, decode=True, auth_config=auth):
                if "error" in line:
                    raise Refused(Reason.REGISTRY_REFUSED, str(line["error"])[:300])
    except (docker.errors.DockerException, OSError) as error:  # requests' errors are of OSError
        raise Unavailable(Reason.ENGINE_UNAVAILABLE, words_of(error)) from error


def _tar() -> bytes:
    """Pack BusyBox, the libraries that it was linked with (none for the static one), and links for its commands."""
    busybox = find_busybox()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for folder in ("bin", "etc", "tmp", "www"):
            tar.addfile(_entry(folder, tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755))
        _add(tar, busybox, "bin/busybox")
        for library in _libraries(busybox):
            _add(tar, library.resolve(), str(library).lstrip("/"))
        for applet in _APPLETS:
            link = _entry(f"bin/{applet}", tarfile.SYMTYPE, 0o777)
            link.linkname = "busybox"
            tar.addfile(link)
    return out.getvalue()


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry


def _add(tar: tarfile.TarFile, file: Path, name: str) -> None:
    entry = _entry(name, tarfile.REGTYPE, 0o755)
    entry.size = file.stat().st_size
    with file.open("rb") as content:
        tar.addfile(entry, content)


def _libraries(program: Path) -> list[Path]:
    """Ask the dynamic linker what `program` needs; nothing for a static one."""
    answer = subprocess.run(["ldd", str(program)], capture_output=True, text=True, timeout=20, check=False)
    words = answer.stdout.split() if answer.returncode == 0 else []
    return [Path(word) for word in words if word.startswith("/")]
