"""What one source of an Argo CD Application reads; pure."""

from collections.abc import Collection

from orchestrator.domain.refs import repo_key
from workers.shapes import Json, text


def reads(source: Json, repos: Collection[str]) -> bool:
    """Tell whether it reads one of these repositories. :param repos: their `repo_key`."""
    try:
        return repo_key(text(source.get("repoURL"))) in repos
    except ValueError:  # an address that is none, such as one with a port of letters
        return False


def branch_of(source: Json) -> str:
    """Return the branch, tag or commit that it reads; "" for the default branch."""
    return text(source.get("targetRevision")).removeprefix("refs/heads/")
