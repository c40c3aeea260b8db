"""Harbor's REST API v2: projects, artifacts and vulnerability scans; and what a scan's result means."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from orchestrator.domain.apps import Registry
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients.http import Http, Observe
from workers.clients.registry_answers import first_error, is_json, json_object
from workers.shapes import mapping, mappings

REPORT_TYPES = (
    "application/vnd.security.vulnerability.report; version=1.1",
    "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0",
)
"""The reports we read; without asking for them by header a modern scanner's result is not shown at all."""
SEVERITIES = ("None", "Unknown", "Negligible", "Low", "Medium", "High", "Critical")
"""Harbor's severities, from harmless to worst."""
_NOWHERE = "sha256:" + "0" * 64
"""The digest of an image that is in no registry."""
_RESOURCE = {"X-Is-Resource-Name": "true"}
_REPORTS = {"X-Accept-Vulnerabilities": ", ".join(REPORT_TYPES)}


class ScanState(StrEnum):
    """What is known about an image's vulnerabilities. ``unscanned`` is not ``clean``."""

    CLEAN = "clean"
    FINDINGS = "findings"
    PENDING = "pending"
    UNSCANNED = "unscanned"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanVerdict:
    """A scan, judged against a gate. ``summary``: ``2 Critical, 5 High``, or why nothing is known."""

    state: ScanState
    summary: str = ""


class Harbor:
    """One Harbor. Sends no cookies: with one it asks for CSRF tokens. Robot names are used as they are, with ``$``.

    Every method raises `Refused` with REGISTRY_UNAUTHORIZED when our login is wrong or may not do this, and
    `Unavailable` with REGISTRY_UNAVAILABLE when Harbor does not answer.
    """

    def __init__(self, registry: Registry, observe: Observe | None = None) -> None:
        self._user = registry.username or "anonymous"
        auth = (registry.username, registry.password.reveal()) if registry.username else None
        self._http = Http(
            registry.url,
            Reason.REGISTRY_UNAVAILABLE,
            auth=auth,
            headers=_RESOURCE | _REPORTS | {"Accept": "application/json"},
            ca_file=registry.ca_file,
            observe=observe,
        )

    def project_exists(self, name: str) -> bool:
        """Tell whether there is a project `name`; the one call that proves a login and needs no permission."""
        answer = self._http.request("HEAD", "/api/v2.0/projects", params={"project_name": name})
        if answer.status_code == 404:
            self._check_presence()
        if answer.status_code in (200, 404):
            return answer.status_code == 200
        raise self._refusal(answer, f"project {name}")

    def artifact(self, project: str, repository: str, reference: str) -> dict[str, Any] | None:
        """Return the artifact with its tags and scan overview; None when it is not there.

        :param repository: its path without the project, slashes plain. :param reference: tag or digest.
        """
        params = {"with_tag": "true", "with_scan_overview": "true", "with_immutable_status": "true"}
        answer = self._http.request("GET", artifact_path(project, repository, reference), params=params)
        if answer.status_code == 404:
            self._check_absence(answer)
            return None
        if answer.status_code != 200:
            raise self._refusal(answer, f"{project}/{repository}:{reference}", "artifact: read")
        return json_object(answer.content, "Harbor")

    def start_scan(self, project: str, repository: str, reference: str) -> bool:
        """Ask for a scan; False when one is under way already.

        :raises Refused: SCAN_UNAVAILABLE, there is no scanner, it cannot scan such an artifact, or we may not ask.
        :raises Unavailable: REGISTRY_READ_ONLY, Harbor takes no changes for now.
        """
        answer = self._http.request("POST", artifact_path(project, repository, reference) + "/scan")
        if answer.status_code in (200, 201, 202, 409):
            return answer.status_code != 409
        if answer.status_code in (400, 412):
            raise Refused(Reason.SCAN_UNAVAILABLE, first_error(answer.content) or f"HTTP {answer.status_code}")
        if answer.status_code == 404:
            self._check_absence(answer)
            raise Refused(Reason.IMAGE_MISSING, f"{project}/{repository}:{reference}")
        said = first_error(answer.content)
        if answer.status_code == 403 and "read only" in said:
            raise Unavailable(Reason.REGISTRY_READ_ONLY, said)
        if answer.status_code == 403:
            raise Refused(
                Reason.SCAN_UNAVAILABLE, f"{self._user} may not start scans in {project}: it needs `scan: create`"
            )
        raise self._refusal(answer, f"scan of {project}/{repository}")

    def check_scan(self, project: str, repository: str) -> bool:
        """Prove that our account may do what the gate needs; tell whether it may read the names of findings, too.

        The questions are about an image that cannot be there: Harbor asks for the right before it looks for the image
        (src/server/v2.0/handler), so nothing is scanned.

        :raises Refused: REGISTRY_UNAUTHORIZED, we may not read artifacts; SCAN_UNAVAILABLE, we may not start scans.
        :raises Unavailable: REGISTRY_READ_ONLY.
        """
        self.artifact(project, repository, _NOWHERE)
        try:
            self.start_scan(project, repository, _NOWHERE)
        except Refused as refusal:
            if refusal.reason is not Reason.IMAGE_MISSING:
                raise
        return bool(self._report(project, repository, _NOWHERE).status_code != 403)

    def findings(self, project: str, repository: str, reference: str, fail_on: str) -> list[str]:
        """Return the vulnerabilities at or above `fail_on`, worst first: ``CVE-2026-1 (openssl 3.0.1)``.

        :return: an empty list also when the report may not be read; the verdict does not depend on it.
        """
        answer = self._report(project, repository, reference)
        return worst_findings(json_object(answer.content, "Harbor"), fail_on) if answer.status_code == 200 else []

    def _report(self, project: str, repository: str, reference: str) -> Any:
        return self._http.request("GET", artifact_path(project, repository, reference) + "/additions/vulnerabilities")

    def _check_absence(self, answer: Any) -> None:
        """See that a 404 is Harbor's own, as `_check_presence`; its errors are JSON."""
        if not is_json(answer):
            self._check_presence()

    def _check_presence(self) -> None:
        """See that Harbor is there: a proxy before it that does not know it now answers 404 to everything.

        :raises Unavailable: REGISTRY_UNAVAILABLE, it is not.
        """
        status = self._http.request("GET", "/api/v2.0/ping").status_code
        if status != 200:
            said = f"{self._http.base_url}/api/v2.0/ping: HTTP {status} where Harbor's API should be"
            hint = "if it is another registry, set `registry.harbor: false`"
            raise Unavailable(Reason.REGISTRY_UNAVAILABLE, f"{said}; {hint}")

    def _refusal(self, answer: Any, what: str, right: str = "") -> Refused:
        said = f"{what}: HTTP {answer.status_code} {first_error(answer.content)}".rstrip()
        if right and answer.status_code == 403:
            said += f"; it needs `{right}`"
        if answer.status_code in (401, 403):
            return Refused(Reason.REGISTRY_UNAUTHORIZED, f"{self._user}: {said}")
        return Refused(Reason.REGISTRY_REFUSED, said)


def artifact_path(project: str, repository: str, reference: str) -> str:
    """Return an artifact's path; the repository's slashes are encoded twice (goharbor/harbor#18355)."""
    inner = quote(quote(repository, safe=""), safe="")
    return f"/api/v2.0/projects/{quote(project, safe='')}/repositories/{inner}/artifacts/{quote(reference, safe=':')}"


def labels_of_artifact(artifact: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of an image's own configuration, as Harbor shows it; empty for an index."""
    labels = mapping(mapping(mapping(artifact.get("extra_attrs")).get("config")).get("Labels"))
    return {str(name): str(value) for name, value in labels.items()}


def first_image(index: Mapping[str, Any]) -> str:
    """Return the digest of the first image of an index; "" when it has none. ``unknown`` ones are attestations."""
    for child in mappings(index.get("references")):
        if mapping(child.get("platform")).get("os") not in ("", "unknown"):
            return str(child.get("child_digest", ""))
    return ""


def judge_scan(artifact: Mapping[str, Any], fail_on: str) -> ScanVerdict:
    """Judge an artifact's scan overview.

    :param fail_on: the lowest severity that is a finding; upper and lower case do not matter.
    """
    overview = _overview(artifact)
    status = str(overview.get("scan_status", ""))
    if not status:
        return ScanVerdict(state=ScanState.UNSCANNED, summary="Harbor has no scan of this image")
    if status in ("Pending", "Running", "Scheduled"):
        return ScanVerdict(state=ScanState.PENDING, summary=f"scan is {status.lower()}")
    if status != "Success":
        return ScanVerdict(state=ScanState.ERROR, summary=f"scan ended with {status}")
    return _judge_result(overview, _rank(fail_on))


def _judge_result(overview: Mapping[str, Any], gate: int) -> ScanVerdict:
    counts = _counts(overview)
    severity = str(overview.get("severity", ""))
    words = ", ".join(f"{counts[name]} {name}" for name in sorted(counts, key=_rank, reverse=True) if counts[name])
    if any(count and _rank(name) >= gate for name, count in counts.items()):
        return ScanVerdict(state=ScanState.FINDINGS, summary=words)
    if severity and _rank(severity) >= gate:
        return ScanVerdict(state=ScanState.FINDINGS, summary=words or f"severity {severity}")
    complete = overview.get("complete_percent", 100)
    if isinstance(complete, (int, float)) and complete < 100:  # of an index some images could not be scanned
        return ScanVerdict(state=ScanState.ERROR, summary=f"only {complete:.0f} % of the images were scanned")
    if not severity and not counts and "summary" not in overview:
        return ScanVerdict(state=ScanState.UNSCANNED, summary="the scan succeeded without a result")
    return ScanVerdict(state=ScanState.CLEAN, summary=words or "no vulnerabilities")


def worst_findings(report: Mapping[str, Any], fail_on: str) -> list[str]:
    """Return the vulnerabilities of a report (as the ``vulnerabilities`` addition has it) at or above `fail_on`."""
    body = next((report[kind] for kind in REPORT_TYPES if isinstance(report.get(kind), dict)), report)
    found = [
        one for one in mappings(body.get("vulnerabilities")) if _rank(str(one.get("severity", ""))) >= _rank(fail_on)
    ]
    found.sort(key=lambda one: (-_rank(str(one.get("severity", ""))), str(one.get("id", ""))))
    return [_named(one) for one in found]


def _named(finding: Mapping[str, Any]) -> str:
    package = " ".join(str(finding[key]) for key in ("package", "version") if finding.get(key))
    return f"{finding.get('id', '?')} ({package or 'unknown package'})"


def _overview(artifact: Mapping[str, Any]) -> Mapping[str, Any]:
    reports = artifact.get("scan_overview")
    if not isinstance(reports, dict):
        return {}
    known = [reports[kind] for kind in REPORT_TYPES if isinstance(reports.get(kind), dict)]
    return next(iter(known or (one for one in reports.values() if isinstance(one, dict))), {})


def _counts(overview: Mapping[str, Any]) -> dict[str, int]:
    """Return the number of findings by severity; what is no number counts as one, so that none is overlooked."""
    counts = mapping(mapping(overview.get("summary")).get("summary"))
    return {str(name): count if isinstance(count, int) else 1 for name, count in counts.items()}


def _rank(severity: str) -> int:
    """Rank a severity; an unknown one counts as the worst, so that it is never overlooked."""
    name = severity.capitalize()
    return SEVERITIES.index(name) if name in SEVERITIES else len(SEVERITIES) - 1
