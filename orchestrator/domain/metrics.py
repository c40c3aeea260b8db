"""Every metric of Pilotage in one table, with its labels.

A label's values are few and known: names from the configuration, or words from the code. A run, a commit, a person or
an address is never a label.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product

from orchestrator.domain.events import DeliveryOutcome
from orchestrator.domain.runs import QUEUES, STAGE_ORDER, RunState

Labels = tuple[str, ...]
"""Values of a metric's labels, in the order of its table row."""


class MetricKind(StrEnum):
    """The type of a metric: counters and histograms only grow, a gauge is a present value."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric.

    :param labels: label -> the values that it can have; empty: names from the configuration, or as they come.
    :param buckets: upper bounds of a histogram, in the metric's unit.
    """

    name: str
    kind: MetricKind
    text: str
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    buckets: tuple[float, ...] = ()

    def bucket(self, value: float) -> str:
        """Return the bound of the bucket that a value falls into, as Prometheus writes it."""
        return next((f"{bound:g}" for bound in self.buckets if value <= bound), "+Inf")

    def initial(self, configured: Mapping[str, Sequence[Labels]]) -> Iterator[Labels]:
        """Yield the label values that are shown from the start, so that "none so far" is 0 and not nothing.

        :param configured: by the label that they begin with, the values that are known for one label, or for two
            that belong together (``app`` with ``env``). A label without any yields nothing.
        """
        parts: list[Sequence[Labels]] = []
        for label, values in self.labels.items():
            if values:
                parts.append([(value,) for value in values])
            elif _COMES_WITH.get(label) not in self.labels:
                parts.append(configured.get(label, ()))
        for chosen in product(*parts):
            yield tuple(value for values in chosen for value in values)


_COMES_WITH = {"env": "app", "who_acts": "reason"}
SUM = "sum"
"""Stands where a histogram's bucket does, for the sum of all values."""
STAGES = tuple(stage.value for stage in STAGE_ORDER)
OUTCOMES = (*(outcome.value for outcome in DeliveryOutcome), "duplicate")
LOOKS = ("done", "wait", "fail", "troubled", "stopped", "lost")
ANSWERS = ("ok", "refused", "unavailable")
SERVICES = ("argocd", "registry", "harbor")
_ACTIVE = tuple(state.value for state in RunState if not state.final)

SHORT = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds: what one request takes."""
LONG = (1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0)
"""Seconds: what a stage or a run takes."""
DAYS = (60.0, 300.0, 900.0, 1800.0, 3600.0, 4 * 3600.0, 12 * 3600.0, 86400.0, 3 * 86400.0, 7 * 86400.0, 30 * 86400.0)
"""Seconds: what people and their reviews take."""

# fmt: off
C, G, H = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM

DELIVERIES = Metric(
    name="pilotage_deliveries_total", kind=C, text="Webhook deliveries, by what became of them.",
    labels={"forge": (), "outcome": OUTCOMES},
)
RUNS = Metric(
    name="pilotage_runs_total", kind=C,
    text="Runs that are over. Superseded: a newer run, commit or history took their place.",
    labels={"app": (), "env": (), "result": ("succeeded", "failed", "cancelled", "superseded")},
)
RUN_FAILURES = Metric(
    name="pilotage_run_failures_total", kind=C, text="Runs that failed, by the reason and who must act.",
    labels={"reason": (), "who_acts": ()},
)
RUN_SECONDS = Metric(
    name="pilotage_run_seconds", kind=H, text="Time from accepted to healthy, of runs that succeeded.",
    labels={"app": (), "env": ()}, buckets=LONG,
)
STAGE_SECONDS = Metric(
    name="pilotage_stage_seconds", kind=H,
    text="Time from the start of a stage to its end, waits included. Reused: its aim was found reached.",
    labels={"stage": STAGES, "result": ("succeeded", "reused", "failed", "cancelled")}, buckets=LONG,
)
LOOKS_TOTAL = Metric(
    name="pilotage_stage_looks_total", kind=C,
    text="Times that a worker looked at a stage. Troubled: a service did not answer, it is tried again. Lost: another"
    " worker had taken the run over, and what came of the look does not count.",
    labels={"stage": STAGES, "result": LOOKS},
)
DEPLOYMENTS = Metric(
    name="pilotage_deployments_total", kind=C,
    text="Commits whose change reached Git and became healthy or did not; each commit once for each result."
    " A rollback is none.",
    labels={"app": (), "env": (), "result": ("succeeded", "failed")},
)
CHANGE_FAILURES = Metric(
    name="pilotage_change_failures_total", kind=C,
    text="Deployments that failed, or that were rolled back, also before they were healthy.",
    labels={"app": (), "env": ()},
)
LEAD_TIME = Metric(
    name="pilotage_lead_time_seconds", kind=H, text="Time from the commit to healthy, of deployments that succeeded.",
    labels={"app": (), "env": ()}, buckets=DAYS,
)
RESTORE = Metric(
    name="pilotage_restore_seconds", kind=H,
    text="Time from a failed deployment, or from the wish to roll it back, to the next success in its environment.",
    labels={"app": (), "env": ()}, buckets=DAYS,
)
NOTIFICATIONS = Metric(
    name="pilotage_notifications_total", kind=C, text="Tries to send a message. Failed: it was given up.",
    labels={"channel": (), "result": ("sent", "postponed", "failed")},
)
BATCH_SIZE = Metric(
    name="pilotage_commit_batch_size", kind=H, text="Changes that one push brought into the GitOps branch.",
    buckets=(1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0),
)
PUSH_RETRIES = Metric(
    name="pilotage_commit_push_retries_total", kind=C,
    text="Pushes to the GitOps branch that were made again because another writer was faster.",
)
LEASES_LOST = Metric(
    name="pilotage_leases_lost_total", kind=C, text="Runs that were taken back from a worker that had vanished.",
)
REQUESTS = Metric(
    name="pilotage_requests_total", kind=C,
    text="Requests of workers and relay. Refused: an answer of 300 to 499 (a 404 may be what we wanted to know)."
    " Unavailable: no answer in time, 429, or 500 and above.",
    labels={"service": SERVICES, "result": ANSWERS},
)
REQUEST_SECONDS = Metric(
    name="pilotage_request_seconds", kind=H, text="Time that a request of workers and relay took.",
    labels={"service": SERVICES}, buckets=SHORT,
)
HTTP_REQUESTS = Metric(
    name="pilotage_http_requests_total", kind=C,
    text="Requests that web and webhooks answered. The route is the name of the call or page, the forge or the chat.",
    labels={"server": (), "route": (), "status": ()},
)
HTTP_SECONDS = Metric(
    name="pilotage_http_request_seconds", kind=H, text="Time until web and webhooks began to answer.",
    labels={"server": ("web", "webhooks")}, buckets=SHORT,
)
QUEUE_RUNS = Metric(
    name="pilotage_queue_runs", kind=G,
    text="Runs by worker pool. Ready: waits for a worker. Running: a worker is at it. Waiting: for anything else.",
    labels={"queue": QUEUES, "state": ("ready", "running", "waiting")},
)
QUEUE_OLDEST = Metric(
    name="pilotage_queue_oldest_seconds", kind=G, text="How long the oldest ready run has waited for a worker.",
    labels={"queue": QUEUES},
)
ACTIVE = Metric(
    name="pilotage_runs_active", kind=G, text="Runs that are not over.",
    labels={"app": (), "env": (), "state": _ACTIVE},
)
AT_STAGE = Metric(
    name="pilotage_runs_at_stage", kind=G, text="Runs that are not over, by the stage that comes next or is at work.",
    labels={"stage": STAGES, "state": _ACTIVE},
)
DEPLOY_AGE = Metric(
    name="pilotage_deploy_age_seconds", kind=G,
    text="Time since the change of the oldest run that is in Git and not yet proven healthy; 0: there is none.",
    labels={"app": (), "env": ()},
)
HELD = Metric(
    name="pilotage_environment_held", kind=G, text="1 while deploys to the environment are on hold.",
    labels={"app": (), "env": ()},
)
PENDING = Metric(
    name="pilotage_notifications_pending", kind=G, text="Messages that wait to be sent.", labels={"channel": ()},
)
WORKERS = Metric(
    name="pilotage_workers_alive", kind=G, text="Workers that were seen in the last minute.",
    labels={"queue": QUEUES},
)
RELAYS = Metric(
    name="pilotage_relays_alive", kind=G, text="Relays that were seen in the last minute.",
)
UNREAD = Metric(
    name="pilotage_apps_unread", kind=G,
    text="Apps whose branches could not be read when Pilotage looked last: a push without its hook goes unnoticed.",
)
BUILD_INFO = Metric(
    name="pilotage_build_info", kind=G, text="Always 1, with the version of the process that answers.",
    labels={"version": ()},
)

METRICS: tuple[Metric, ...] = (
    DELIVERIES, RUNS, RUN_FAILURES, RUN_SECONDS, STAGE_SECONDS, LOOKS_TOTAL, LEASES_LOST,
    DEPLOYMENTS, CHANGE_FAILURES, LEAD_TIME, RESTORE,
    BATCH_SIZE, PUSH_RETRIES, REQUESTS, REQUEST_SECONDS, NOTIFICATIONS, HTTP_REQUESTS, HTTP_SECONDS,
    QUEUE_RUNS, QUEUE_OLDEST, ACTIVE, AT_STAGE, DEPLOY_AGE, HELD, PENDING, WORKERS, RELAYS, UNREAD,
    BUILD_INFO,
)
# fmt: on
"""The metrics in the order in which they are shown."""

LABELS: dict[str, str] = {
    "app": "name of an app in the configuration",
    "env": "name of its environment",
    "forge": "name of a forge in the configuration",
    "channel": "name of a channel in the configuration",
    "stage": "step of a run",
    "queue": "worker pool",
    "service": "who was asked",
    "server": "`web` or `webhooks`",
    "route": "call of the API, page, forge or chat",
    "status": "HTTP status",
    "state": "what a run does",
    "outcome": "what became of a delivery",
    "result": "how something ended",
    "reason": "a reason code",
    "who_acts": "`developer`, `operator` or `nobody`",
    "version": "of Pilotage",
}
"""Every label that a metric may have, and what its values are."""
