"""Titles of source commits as they stand in the GitOps repository: to be read there, and to act on nothing.

What acts in a commit message, by the forges' and trackers' documentation:

* GitHub, GitLab, Gitea, Forgejo and Bitbucket close what follows a word such as "fixes": ``#1``, ``GH-1``,
  ``group/x#1``, ``issue 1``, an address, and (GitLab) keys of Jira; each of these alone leaves a note at
  what it names.
* Jira takes commands from ``KEY-1 #close``, GitLab from a line that begins with ``/`` (``/tag v1``).
* ``@name`` tells people. ``[skip ci]`` and its like keep pipelines from running, ``***NO_CI***`` on Azure DevOps.
* ``Co-authored-by:``, ``Signed-off-by:``, ``skip-checks:`` and ``BREAKING CHANGE:`` are read as trailers.
"""

import re
from string import Formatter

JOINER = "\u2060"
"""The word joiner: it takes no room and breaks no line, and no pattern of the above reads over it."""
_ACTIVE = re.compile(
    r"[#!@&](?=\w)"  # issues, merge requests, people, epics, commands of Jira
    r"|\[(?=\w)|\*\*\*(?=\w)"  # skip markers
    r"|[Gg][Hh]-(?=\d)|[A-Z][A-Z0-9_]+-(?=\d)"  # issues of GitHub, keys of Jira
    r"|\b(?i:issue|bug|ticket)[sS]? +(?=\d)"  # Bitbucket
    r"|:(?=//)"  # addresses of issues
    r"|^\s*(?=/)",  # commands of GitLab
    re.MULTILINE,
)
_TRAILER = re.compile(r"^\s*[A-Za-z0-9]+(?:-[A-Za-z0-9]+)+\s*(?=:)|BREAKING[ -]CHANGE\s*(?=:)", re.MULTILINE)


def inert(title: str) -> str:
    """Return a text that reads the same and acts on nothing: a `JOINER` stands in all that would."""
    for form in (_TRAILER, _ACTIVE):
        title = form.sub(lambda found: found[0] + JOINER, title)
    return title


def filled_in(template: str, **values: object) -> str:
    """Fill in a template of a person, in which what is filled in acts on nothing, also with what stands before it.

    What the person wrote stays as it is: a skip marker there is meant.
    """
    told = ""
    for literal, name, _, _ in Formatter().parse(template):
        told += literal
        value = inert(str(values[name])) if name else ""
        awakes = inert(told + value[:1]) != inert(told) + value[:1]
        told += JOINER + value if awakes else value
    return told
