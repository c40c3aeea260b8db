"""The vulnerability scanner of the stand-in of Harbor: finds what it is told to find, and takes its time."""

import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator.sandbox.harbor_rules import SEVERITIES, HarborError, matches

REPORT_TYPE = "application/vnd.security.vulnerability.report; version=1.1"
"""The one report that a modern Trivy makes."""
OLD_REPORT_TYPE = "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0"
SCANNER = {"name": "Trivy", "vendor": "Aqua Security", "version": "v0.65.0"}
NEVER = "0001-01-01T00:00:00.000Z"
"""Go's zero time, by which Harbor says that something has not happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vulnerability:
    """One vulnerability. `fix` is the version in which it is fixed, "" = there is none."""

    id: str
    package: str
    version: str
    severity: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """What a scan ends with.

    :param status: ``Success``, ``Error`` or ``Stopped``. :param complete_percent: of an index's images.
    """

    status: str = "Success"
    findings: tuple[Vulnerability, ...] = ()
    complete_percent: int = 100

    @classmethod
    def counted(cls, **severities: int) -> "ScanResult":
        """Make a result with so many findings of each severity: ``counted(Critical=1, High=2)``."""
        names = [name for name, count in severities.items() for _ in range(count)]
        found = (
            Vulnerability(
                id=f"CVE-2026-{1000 + index}",
                package=f"lib{name.lower()}{index}",
                version="1.2.3",
                severity=name,
                fix="1.2.4" if index % 2 else "",
            )
            for index, name in enumerate(names, 1)
        )
        return cls(findings=tuple(found))

    @property
    def counts(self) -> dict[str, int]:
        """Number of findings by severity, worst first; severities without any are left out."""
        names = [one.severity for one in self.findings]
        return {name: names.count(name) for name in reversed(SEVERITIES) if name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageScan:
    """One scan: when it began (seconds since 1970), how long it waits and works, and what it will find."""

    report: str
    started: float
    pending: float
    running: float
    result: ScanResult

    def status(self, now: float) -> str:
        """Return the scan's status at `now`; "" before it has begun."""
        if now < self.started:
            return ""
        if now < self.started + self.pending:
            return "Pending"
        return "Running" if now < self.ends else self.result.status

    @property
    def ends(self) -> float:
        """When it is over."""
        return self.started + self.pending + self.running

    def overview(self, now: float) -> dict[str, Any]:
        """Return one entry of ``scan_overview``; what is not known before the end is absent before the end."""
        status = self.status(now)
        over = status not in ("Pending", "Running")
        shown: dict[str, Any] = {
            "report_id": self.report,
            "scan_status": status,
            "start_time": when(self.started),
            "end_time": when(self.ends) if over else NEVER,
        }
        if over:
            shown["duration"] = round(self.ends - self.started)
        if status == "Success":
            shown |= self._summary()
        return shown

    def _summary(self) -> dict[str, Any]:
        counts = self.result.counts
        return {
            "severity": next(iter(counts), "None"),
            "summary": {
                "total": len(self.result.findings),
                "fixable": sum(1 for one in self.result.findings if one.fix),
                "summary": counts,
            },
            "complete_percent": self.result.complete_percent,
            "scanner": SCANNER,
        }

    def document(self, digest: str) -> dict[str, Any]:
        """Return the full report, as the ``vulnerabilities`` addition has it."""
        return {
            "generated_at": when(self.ends),
            "scanner": SCANNER,
            "severity": next(iter(self.result.counts), "None"),
            "vulnerabilities": [_described(one, digest) for one in self.result.findings],
        }


class Scanner:
    """Decides what scans find. Thread-safe.

    :ivar available: False: the project has no scanner. :ivar pending: seconds before a scan begins to work.
    :ivar running: seconds that it works. :ivar behind: seconds after a push until a project with ``auto_scan`` begins
        one: Harbor answers the push first.
    """

    def __init__(self, pending: float = 0.3, running: float = 0.7, behind: float = 0.2) -> None:
        self.available = True
        self.pending = pending
        self.running = running
        self.behind = behind
        self._results: list[tuple[str, ScanResult]] = []
        self._lock = threading.Lock()

    def find(self, pattern: str, result: ScanResult) -> None:
        """Let scans that begin from now on end with `result`; the newest pattern that fits counts.

        :param pattern: of ``project/path:tag`` (or ``project/path@sha256:…`` where there is no tag), see `matches`:
            ``shop/**:*``.
        """
        with self._lock:
            self._results.insert(0, (pattern, result))

    def begin(self, names: Iterable[str], now: float) -> ImageScan:
        """Return a new scan of the image with these names."""
        known = list(names)
        with self._lock:
            fits = (result for pattern, result in self._results if any(matches(pattern, name) for name in known))
            result = next(fits, ScanResult())
        return ImageScan(
            report=str(uuid.uuid4()), started=now, pending=self.pending, running=self.running, result=result
        )

    def check(self, project_id: int, manifest_type: str, scannable: bool) -> None:
        """Refuse what cannot be scanned.

        :raises HarborError: PRECONDITION, there is no scanner; BAD_REQUEST, it is no image.
        """
        if not self.available:
            raise HarborError("PRECONDITION", f"no available scanner for project: {project_id}")
        if not scannable:
            raise HarborError(
                "BAD_REQUEST",
                f"the configured scanner {SCANNER['name']} does not support scanning artifact with mime type"
                f" {manifest_type}",
            )


def chosen_report(accept: str) -> str:
    """Return the report type that an ``X-Accept-Vulnerabilities`` header chooses; without a known one, the old."""
    asked = [part.strip() for part in accept.split(",")]
    known = {kind.replace(" ", ""): kind for kind in (REPORT_TYPE, OLD_REPORT_TYPE)}
    found = [known[part.replace(" ", "")] for part in asked if part.replace(" ", "") in known]
    return REPORT_TYPE if REPORT_TYPE in found else OLD_REPORT_TYPE


def when(moment: float) -> str:
    """Write a time (seconds since 1970; 0 = never) as Harbor does: ``2026-08-22T03:06:40.123Z``."""
    if not moment:
        return NEVER
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _described(finding: Vulnerability, digest: str) -> Mapping[str, Any]:
    return {
        "id": finding.id,
        "package": finding.package,
        "version": finding.version,
        "fix_version": finding.fix,
        "severity": finding.severity,
        "description": f"{finding.package} before {finding.fix or 'a version to come'} has a known vulnerability.",
        "links": [f"https://avd.aquasec.com/nvd/{finding.id.lower()}"],
        "artifact_digests": [digest],
        "preferred_cvss": {"score_v3": None, "score_v2": None, "vector_v3": "", "vector_v2": ""},
        "cwe_ids": [],
        "vendor_attributes": {},
    }
