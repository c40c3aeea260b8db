"""What a commit says about itself: its people, its message and the trailers in it."""

import re
from dataclasses import dataclass

_TRAILER = re.compile(r"(?P<key>[A-Za-z0-9][A-Za-z0-9-]*): *(?P<value>.*)\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitInfo:
    """What a commit says about itself; ``date`` is the committer's, ISO 8601 with offset."""

    author_name: str
    author_email: str
    committer_email: str
    date: str
    message: str

    @property
    def subject(self) -> str:
        """The first line of the message."""
        return self.message.strip("\n").partition("\n")[0].strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitMessage:
    """A commit of a branch's history: its id, its first parent ("" for a root) and its whole message."""

    commit: str
    parent: str
    text: str


def trailers_of(text: str) -> tuple[tuple[str, str], ...]:
    """Return the trailers of a message: its last paragraph, if that is not the first and has no other lines."""
    paragraph = re.split(r"\n[ \t]*\n", text.strip())
    if len(paragraph) < 2:
        return ()
    found = [_TRAILER.match(line) for line in paragraph[-1].splitlines()]
    if not all(found):
        return ()
    return tuple((match["key"], match["value"].strip()) for match in found if match)
