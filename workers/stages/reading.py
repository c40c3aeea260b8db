"""Does an environment's application read what we write? If not, the list of all may name the one that does."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.domain.apps import App, Environment, Settings
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from workers.gitops.parents import READER_FIELDS, fault_of, readers

if TYPE_CHECKING:
    from workers.clients.argocd import ArgoClient


def require_reader(
    argocd: "ArgoClient", application: Mapping[str, Any], settings: Settings, app: App, environment: Environment
) -> None:
    """See that an application reads the file that we edit, and would show our image.

    :param application: the object of ``GET /api/v1/applications/{name}``.
    :raises Refused: APPLICATION_MISMATCH, it does not; with the name of one that does, if there is any.
    """
    image = f"{settings.registry.host}/{app.image}"
    fault = fault_of(application, settings.gitops, environment, image)
    if fault is None:
        return
    try:
        instead = readers(argocd.applications(READER_FIELDS), settings.gitops, environment, image)
    except (Refused, Unavailable):
        instead = ""  # what is wrong is known all the same
    raise Refused(Reason.APPLICATION_MISMATCH, f"{fault}; {instead}" if instead else fault)
