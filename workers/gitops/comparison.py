"""Why a comparison of Argo CD's went wrong: a chart, an application, or something that it does not get at."""

import re

from orchestrator.domain.reasons import Reason

_PASSING = re.compile(
    r"connection (?:refused|reset|closed)|(?<![.\w])timeout\b|timed out|deadline exceeded|no such host"
    r"|not resolve host|name resolution|n.t connect to|no route to host|unreachable|code = unavailable|tls handshake"
    r"|hung up|disconnect|broken pipe|\beof\b|too ?many ?requests|context canceled|signal: killed|index\.lock"
    r"|invalid revision range|(?:status code|returned error): (?:5\d\d|429)",
    re.IGNORECASE,
)
"""How Argo CD tells of a network or a Git server in trouble: its issues 16532, 17609 and 24744, and Git itself.

Or of its own repo-server, which was restarted, ran out of memory or was interrupted: 6106, 7898, 10426 and 21014.
"""
_NOT_LET_IN = re.compile(
    r"authentication (?:required|failed)|authorization failed|could not read (?:username|password)"
    r"|unable to authenticate|permission denied \(|knownhosts:|host key|x509:|repository not found"
    r"|unable to resolve '[^']*' to a commit sha|failed to load live state|failed to get cluster"
    r"|client to provide credentials|no space left on device|failed to initialize git repo|not permitted in project"
    r"|is not signed|signature made with|verify commit signature"
    r"|(?:status code|returned error): 40[134]",
    re.IGNORECASE,
)
"""The same of a Git server or a cluster that refuses it, or lacks what it looks for: go-git, Git, Kubernetes; and of
its own project that wants commits signed otherwise (``VerifyGnuPGSignature``)."""
_OF_CHART = re.compile(r"parse error|template: |error converting yaml", re.IGNORECASE)
"""How Helm tells of a mistake in a chart, whose words may be those of a network ("unexpected EOF")."""
ERRORS = {
    "ComparisonError": Reason.MANIFESTS_INVALID,
    "InvalidSpecError": Reason.APPLICATION_INVALID,
    "UnknownError": Reason.APPLICATION_INVALID,
}
"""The conditions that are errors of a comparison, and what each is where its words do not say more."""


def is_remembered(message: str) -> bool:
    """Tell whether Argo CD did not try again: after three failures it repeats the last one for an hour."""
    return "generation error (cached)" in message


def is_passing(message: str) -> bool:
    """Tell whether it is a network or a server in trouble, which may end by itself."""
    return _PASSING.search(message) is not None and _OF_CHART.search(message) is None


def reason_of(kind: str, message: str) -> Reason:
    """Say what is wrong, so that who is told to act can: a developer cannot mend Argo CD's way to a server.

    :param kind: one of `ERRORS`.
    """
    of_access = is_passing(message) or (_NOT_LET_IN.search(message) and not _OF_CHART.search(message))
    return Reason.COMPARISON_FAILED if of_access else ERRORS[kind]
