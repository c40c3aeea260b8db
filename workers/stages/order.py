"""What a stage is told and what it may use; it sees nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orchestrator.domain.apps import App, Environment, Settings
from orchestrator.domain.runs import Rival, Run
from workers.shapes import moment

if TYPE_CHECKING:
    from workers.stages.toolbox import Clients


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Which run is to be brought where.

    ``outputs`` merges what all stages of this run wrote down so far, this stage's own earlier looks included.
    ``rivals`` are other runs of the environment, and ``insists`` says that a person wanted this commit, older or not,
    in this run or in the one that it repeats (both only filled in for ``check`` and ``commit``).
    ``started_at`` is when the stage began (its first attempt), ``deadline_at`` when its time is over (None: never)
    and ``now`` the clock; all are aware UTC.
    """

    run: Run
    app: App
    environment: Environment
    settings: Settings
    outputs: Mapping[str, Any]
    started_at: datetime
    now: datetime
    deadline_at: datetime | None = None
    rivals: tuple[Rival, ...] = ()
    insists: bool = False

    @property
    def is_late(self) -> bool:
        """Tell whether the time of the stage is over: to go on waiting would fail the run."""
        return self.deadline_at is not None and self.now >= self.deadline_at

    @property
    def where(self) -> dict[str, Any]:
        """Say where Argo CD has the application, as the methods of its client want it beside the name.

        Without a project Argo CD gives the same answer for missing, forbidden and unreadable at the moment; so if the
        configuration names none, the one that ``check`` saw is used, unless it names another application by now.
        """
        name = self.environment.argocd
        seen = self.outputs.get("argocd_project", "") if self.outputs.get("argocd_application", name) == name else ""
        project = self.environment.project or str(seen)
        return {"project": project, "app_namespace": self.environment.app_namespace}

    @property
    def prebuilt(self) -> bool:
        """Tell whether the run brings an image that exists already (a promotion, or an image that a person named)."""
        return bool(self.run.digest) or not (self.run.commit or self.run.ref)

    def seconds_since(self, time: object) -> float:
        """Count the seconds since a time that a stage wrote into its outputs (ISO 8601).

        A time that lies ahead (another machine's clock wrote it), or a text that is no time, counts as now.
        """
        return max(0.0, (self.now - (moment(time) or self.now)).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a stage may use.

    :param log: writes one line (no newline needed) to the stage's log, secrets masked.
    :param checkpoint: raises ``Cancelled`` or ``LeaseLost`` when the work is to stop; cheap, to be called between
        steps and about every second in long work.
    :param clients: the foreign services, made on first use.
    """

    log: Callable[[str], None]
    checkpoint: Callable[[], None]
    clients: "Clients"
