"""A push as GitHub sends it, to the bytes: compact JSON, of which a third is addresses that nobody reads.

The shape is that of the recorded payloads in docs.github.com and of the forges' clients; names are ours. The head
commit is named three times: as ``after``, as the last of ``commits``, and as ``head_commit``.
"""

import json
from collections.abc import Iterable
from typing import Any

AFTER = "@@AFTER@@"
"""Stands where the head commit is named."""
SIZE = 16 * 1024

_SITE = "https://github.example.com"
_USER = (
    *("followers", "following", "gists", "starred", "subscriptions"),
    *("organizations", "repos", "events", "received_events"),
)
_REPOSITORY = (
    *("forks", "keys", "collaborators", "teams", "hooks", "issue_events", "events", "assignees", "branches"),
    *("tags", "blobs", "git_tags", "git_refs", "trees", "statuses", "languages", "stargazers", "contributors"),
    *("subscribers", "subscription", "commits", "git_commits", "comments", "issue_comment", "contents", "compare"),
    *("merges", "archive", "downloads", "issues", "pulls", "milestones", "notifications", "labels", "releases"),
    "deployments",
)
_COUNTS = ("size", "stargazers_count", "watchers_count", "forks_count", "open_issues_count", "forks", "open_issues")
_FLAGS = ("private", "fork", "has_issues", "has_projects", "has_downloads", "has_wiki", "has_pages", "archived")


def payload() -> str:
    """Return a push of `SIZE` bytes or a little less, with `AFTER` for its commit."""
    earlier: list[dict[str, Any]] = []
    text = _push(earlier)
    while len(longer := _push([*earlier, _commit(f"{len(earlier):040x}", len(earlier))])) <= SIZE:
        earlier.append(_commit(f"{len(earlier):040x}", len(earlier)))
        text = longer
    return text


def _push(earlier: list[dict[str, Any]]) -> str:
    head = _commit(AFTER, 99)
    body = {
        "ref": "refs/heads/main",
        "before": "f" * 40,
        "after": AFTER,
        "repository": _repository(),
        "pusher": {"name": "mina", "email": "mina@example.com"},
        "organization": {"login": "acme", "id": 84780935, **_addresses("orgs/acme", _USER[-5:])},
        "sender": _user("mina"),
        "created": False,
        "deleted": False,
        "forced": False,
        "base_ref": None,
        "compare": f"{_SITE}/acme/plate-web/compare/2f780193b136...366701fde727",
        "commits": [*earlier, head],
        "head_commit": head,
    }
    return json.dumps(body, separators=(",", ":"))


def _commit(sha: str, number: int) -> dict[str, Any]:
    return {
        "id": sha,
        "tree_id": "638e046f1e1e15dbed1ddf40f9471bf1af4d64ce",
        "distinct": True,
        "message": f"Show the menu of the day (#{number})\n\n* Read it once\r\n\r\n* Add tests",
        "timestamp": "2026-11-24T09:00:00+09:00",
        "url": f"{_SITE}/acme/plate-web/commit/366701fde727cb7a9e7f21eb88264f59f6f9b89c",
        "author": {"name": "Mina", "email": "mina@example.com", "username": "mina"},
        "committer": {"name": "GitHub", "email": "noreply@github.example.com", "username": "web-flow"},
        "added": [],
        "removed": [],
        "modified": [f"menu/pages/page_{number}.py", f"menu/pages/page_{number}_test.py"],
    }


def _repository() -> dict[str, Any]:
    return {
        "id": 179344069,
        "node_id": "MDEwOlJlcG9zaXRvcnkxNzkzNDQwNjk=",
        "name": "plate-web",
        "full_name": "acme/plate-web",
        "owner": {**_user("acme"), "name": "acme", "email": None},
        "html_url": "https://git.example.com/acme/plate-web",
        "description": "What is on the plate today.",
        **_addresses("repos/acme/plate-web", _REPOSITORY),
        "created_at": 1554314798,
        "updated_at": "2026-11-24T00:00:00Z",
        "pushed_at": 1642370257,
        "git_url": "git://git.example.com/acme/plate-web.git",
        "ssh_url": "git@git.example.com:acme/plate-web.git",
        "clone_url": "https://git.example.com/acme/plate-web.git",
        "homepage": "https://plate.example.com",
        "language": "Python",
        "license": {"key": "apache-2.0", "name": "Apache License 2.0", "spdx_id": "Apache-2.0"},
        "topics": ["menu", "plate", "web"],
        "visibility": "private",
        "default_branch": "main",
        **dict.fromkeys(_COUNTS, 84),
        **dict.fromkeys(_FLAGS, False),
    }


def _user(login: str) -> dict[str, Any]:
    return {
        "login": login,
        "id": 24977596,
        "node_id": "MDQ6VXNlcjI0OTc3NTk2",
        "avatar_url": "https://avatars.github.example.com/u/24977596?v=4",
        "gravatar_id": "",
        "html_url": f"{_SITE}/{login}",
        **_addresses(f"users/{login}", _USER),
        "type": "User",
        "site_admin": False,
    }


def _addresses(below: str, names: Iterable[str]) -> dict[str, str]:
    return {f"{name}_url": f"https://api.github.example.com/{below}/{name}" for name in names}
