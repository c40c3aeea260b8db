"""Words in the head commit's message by which people ask not to build.

One set for all forges: GitHub's (docs: skipping workflow runs), which holds those of GitLab, Gitea and Woodpecker,
and Azure DevOps'. Upper and lower case are the same.
"""

MARKERS = ("[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]", "***NO_CI***")
TRAILER = "skip-checks: true"
PUSH_OPTION = "git push -o ci.skip"
"""GitLab's push option, as people type it."""


def skip_marker(message: str) -> str:
    """Return the marker in a commit message, as listed here, or "".

    The trailer counts only in the last of several paragraphs, so that a message may mention it.
    """
    lowered = message.lower()
    found = next((marker for marker in MARKERS if marker.lower() in lowered), "")
    return found or (TRAILER if _has_trailer(lowered) else "")


def _has_trailer(lowered: str) -> bool:
    _, blank_line, last_paragraph = lowered.replace("\r\n", "\n").rstrip().rpartition("\n\n")
    return bool(blank_line) and any(
        "".join(line.split()) == "skip-checks:true" for line in last_paragraph.splitlines()
    )
