"""How a command ends when it does not simply succeed."""

from enum import IntEnum


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
    Code.UNREACHABLE: "Pilotage did not answer, or did not accept the token",
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
