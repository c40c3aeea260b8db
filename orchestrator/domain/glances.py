"""Glances: what Git and Argo CD say of an environment now, whatever Pilotage has done there.

Git holds what should run and Argo CD says what runs; both change without us. A glance is for people to see and
decides nothing: runs look for themselves.
"""

from dataclasses import dataclass
from enum import StrEnum

Place = tuple[str, str]
"""The names of an app and of one of its environments."""


class Witness(StrEnum):
    """Who is looked at."""

    GIT = "git"
    ARGOCD = "argocd"


@dataclass(frozen=True, slots=True, kw_only=True)
class GitGlance:
    """The value of an environment's key on the head of the GitOps branch.

    :param values: the file, and :param key: the path in it, that were read.
    :param commit: the commit that gave the value its present form; "" = further back than is searched.
    :param author: who it is by. :param at: when, ISO 8601. :param run: the run that made it; None: not by Pilotage.
    :param fault: why there is no value to be read; "" where there is.
    """

    values: str
    key: str
    value: str = ""
    commit: str = ""
    author: str = ""
    at: str = ""
    run: int | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgoGlance:
    """What Argo CD's list says of an environment's application, in Argo CD's own words.

    :param argocd: the name of the application. :param sync: ``Synced``, ``OutOfSync`` or ``Unknown``.
    :param health: ``Healthy``, ``Progressing``, ``Degraded`` and so on. :param syncing: a sync is under way.
    :param live: tags (or digests) of the app's own image that pods run.
    :param fault: why nothing is known; "" where something is.
    """

    argocd: str
    sync: str = ""
    health: str = ""
    syncing: bool = False
    live: tuple[str, ...] = ()
    fault: str = ""


Glance = GitGlance | ArgoGlance
