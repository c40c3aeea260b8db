"""Patterns of texts, each with an explanation: a regular expression does not tell people what to do."""

NAME = r"^[^\x00-\x1f\x7f]+$"
TEXT = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"
IMAGE = r"^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|sha256:[0-9a-f]{64})$"
PREFIX = r"^[0-9a-f]{4,64}$"
OBJECT_ID = r"^([0-9a-f]{40}|[0-9a-f]{64})$"
WORDS = {
    NAME: "must not have control characters",
    TEXT: "must not have control characters except tabs and line breaks",
    IMAGE: "must be a tag, or a digest such as `sha256:` and 64 digits",
    PREFIX: "must be the id of a commit or its beginning: 4 to 64 of the digits 0-9 and a-f",
    OBJECT_ID: "must be the full id of a commit: 40 of the digits 0-9 and a-f (64 with SHA-256)",
}
"""What each pattern asks for, in words."""
