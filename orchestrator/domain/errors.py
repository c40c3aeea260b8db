"""The two ways in which a foreign service fails: it refuses, or it is unavailable. The client that sees it decides.

``Refused``: the world said no; asking again gives the same answer.
``Unavailable``: we could not find out; asking again later may help.
"""

from orchestrator.domain.reasons import Reason
from orchestrator.domain.wording import bounded


class PilotageError(Exception):
    """An error with a stable reason code and the evidence for it, fit to be shown to people.

    :param reason: the code that the catalogue explains.
    :param evidence: what was seen, one line, without secrets. Of a very long one the middle goes: a service may have
        said any part of it.
    """

    def __init__(self, reason: Reason, evidence: str = "") -> None:
        self.reason = reason
        self.evidence = bounded(evidence)
        super().__init__(f"{reason.value}: {self.evidence}" if evidence else reason.value)


class Refused(PilotageError):
    """The world said no. Final: a retry cannot help until a person changes something."""


class Unavailable(PilotageError):
    """We could not find out. Retried by policy.

    :param retry_after: seconds that the service itself asked us to wait, if it did.
    """

    def __init__(self, reason: Reason, evidence: str = "", retry_after: float | None = None) -> None:
        super().__init__(reason, evidence)
        self.retry_after = retry_after


class RateLimited(Unavailable):
    """The service is well, but takes our next request only after ``retry_after`` seconds."""


class Unanswered(Unavailable):
    """The service had our request, but its answer did not arrive: it is unknown whether it did what we asked."""


class Cancelled(PilotageError):
    """The run was asked to stop while a stage was at work."""

    def __init__(self, evidence: str = "") -> None:
        super().__init__(Reason.CANCELLED, evidence)


class LeaseLost(PilotageError):
    """Another worker has taken this stage over; what we still do must not be recorded."""

    def __init__(self, evidence: str = "") -> None:
        super().__init__(Reason.LEASE_LOST, evidence)
