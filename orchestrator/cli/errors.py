"""How a command ends when it does not simply succeed."""

from enum import IntEnum

from orchestrator.domain.errors import PilotageError, Unavailable
from orchestrator.domain.reasons import explain


class Code(IntEnum):
    """The exit codes of ``pilotage``; every command keeps to them."""

    SUCCEEDED = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    TIMED_OUT = 4
    CANCELLED = 5
    DETACHED = 130
    BROKEN_PIPE = 141


MEANINGS = {
    Code.SUCCEEDED: "done; with `--wait` or `watch`: the run succeeded",
    Code.FAILED: "the run failed, or the configuration has problems",
    Code.USAGE: "the command was wrong: unknown option, run, app, stage, or not possible in this state",
    Code.UNREACHABLE: "Pilotage or a service that the command needs did not answer, or did not accept the token",
    Code.TIMED_OUT: "the time to wait is over; the run goes on",
    Code.CANCELLED: "the run was cancelled or superseded",
    Code.DETACHED: "Ctrl-C; the run goes on",
}
"""What each code means, for the help text and the reference page."""


class CliError(Exception):
    """A command cannot go on: one sentence with cause and next step, and the exit code."""

    def __init__(self, sentence: str, code: Code) -> None:
        super().__init__(sentence)
        self.code = code


def ending(error: PilotageError | OSError) -> CliError:
    """Make the error for a refusal by a service or the operating system: cause, next step and exit code."""
    if isinstance(error, OSError):
        hint = "; look at that path and what this user may do there" if error.filename else ""
        return CliError(f"{system_words(error)}{hint}.", Code.FAILED)
    said = explain(error.reason)
    cause = f"{said.text.rstrip('.')} ({error.evidence.rstrip('.')})." if error.evidence else said.text
    code = Code.UNREACHABLE if isinstance(error, Unavailable) else Code.FAILED
    return CliError(f"{cause} {said.next_step}", code)


def system_words(error: OSError) -> str:
    """Name the file and what the operating system says about it."""
    said = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {said}" if error.filename else said
