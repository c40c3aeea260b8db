"""BuildKit's progress messages, decoded without a protobuf library and written as log lines.

The engine sends each message of a BuildKit build as ``{"id": "moby.buildkit.trace", "aux": <base64>}`` whose
content is a ``moby.buildkit.v1.StatusResponse`` (api/services/control/control.proto of moby/buildkit): field 1
vertexes, 2 statuses, 3 logs, 4 warnings. Only the fields that we show are read.
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field

from workers.clients.protobuf import Fields, ProtobufError, fields

MAX_MESSAGE = 16 * 1024 * 1024
"""Bytes of one decoded message that are looked at; BuildKit itself limits gRPC messages to this."""
MAX_LINE = 16 * 1024
"""Bytes of output without a line break after which a line is written anyway."""
MAX_VERTEXES = 10_000
"""Steps of one build that are told apart; later ones are not shown."""


class TraceError(ValueError):
    """The bytes are not such a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vertex:
    """One step: its digest, its name, and how far it is; times are seconds since the epoch, 0.0 = not yet."""

    digest: str
    name: str = ""
    cached: bool = False
    started: float = 0.0
    completed: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A part of a step, such as a layer that is pulled."""

    id: str
    vertex: str
    completed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutput:
    """Bytes that a step wrote to its standard output (stream 1) or error (2); not always whole lines."""

    vertex: str
    stream: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusResponse:
    """One decoded message, by BuildKit's name for it."""

    vertexes: tuple[Vertex, ...] = ()
    statuses: tuple[Status, ...] = ()
    outputs: tuple[StepOutput, ...] = ()
    warnings: tuple[str, ...] = ()


def decode(text: str) -> StatusResponse:
    """Decode the base64 `text` of one message.

    :raises TraceError: it is not base64, is cut off, larger than `MAX_MESSAGE`, or not protobuf.
    """
    if len(text) > MAX_MESSAGE * 4 // 3 + 4:
        raise TraceError(f"message larger than {MAX_MESSAGE} bytes")
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise TraceError(f"not base64: {error}") from error
    try:
        return _response(raw)
    except ProtobufError as error:
        raise TraceError(str(error)) from error


def _response(raw: bytes) -> StatusResponse:
    parts: dict[int, list[bytes]] = {1: [], 2: [], 3: [], 4: []}
    for number, value in fields(raw):
        if number in parts and isinstance(value, bytes):
            parts[number].append(value)
    return StatusResponse(
        vertexes=tuple(_vertex(part) for part in parts[1]),
        statuses=tuple(_status(part) for part in parts[2]),
        outputs=tuple(_output(part) for part in parts[3]),
        warnings=tuple(_text(Fields(part).bytes(3)) for part in parts[4]),
    )


def _vertex(raw: bytes) -> Vertex:
    message = Fields(raw)
    return Vertex(
        digest=_text(message.bytes(1)),
        name=_text(message.bytes(3)),
        cached=message.number(4) != 0,
        started=_seconds(message.bytes(5)),
        completed=_seconds(message.bytes(6)),
        error=_text(message.bytes(7)),
    )


def _status(raw: bytes) -> Status:
    message = Fields(raw)
    return Status(
        id=_text(message.bytes(1)), vertex=_text(message.bytes(2)), completed=_seconds(message.bytes(8)) > 0
    )


def _output(raw: bytes) -> StepOutput:
    message = Fields(raw)
    return StepOutput(vertex=_text(message.bytes(1)), stream=message.number(3), data=message.bytes(4))


def _seconds(raw: bytes) -> float:
    message = Fields(raw)
    return message.number(1) + message.number(2) / 1e9


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


@dataclass(slots=True)
class _Step:
    """What was already shown of a step; ``rest`` holds the unfinished line of each stream."""

    number: int
    name: str
    shown: str = ""
    rest: dict[int, bytes] = field(default_factory=dict)


class Progress:
    """Turns traces into lines like those of ``docker build --progress=plain``: ``#4 [2/3] RUN make``.

    Keeps what the lines need to be complete: output arrives in pieces that do not end at line breaks.
    ``failed`` is the last step that ended with an error ("" = none), ``tail`` the last lines of that step.
    """

    TAIL = 20

    def __init__(self) -> None:
        self._steps: dict[str, _Step] = {}
        self._done: set[tuple[str, str]] = set()
        self._tails: dict[str, list[str]] = {}
        self._failed = ""

    @property
    def failed(self) -> str:
        """The name of the step that failed, such as ``[2/3] RUN make``; "" when none did."""
        return self._steps[self._failed].name if self._failed else ""

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines that the failed step wrote."""
        return tuple(self._tails.get(self._failed, ()))

    def lines(self, message: StatusResponse) -> Iterator[str]:
        """Yield what `message` adds to the log; a line without its end waits for the rest."""
        for vertex in message.vertexes:
            self._begin(vertex)
        for output in message.outputs:
            yield from self._write(output)
        for status in message.statuses:
            yield from self._part(status)
        for vertex in message.vertexes:
            yield from self._advance(vertex)
        for warning in message.warnings:
            yield f"WARNING: {warning}"

    def rest(self) -> Iterator[str]:
        """Yield the unfinished lines at the end of the stream."""
        for digest, step in self._steps.items():
            yield from self._flush(digest, step)

    def _begin(self, vertex: Vertex) -> None:
        if vertex.digest not in self._steps and len(self._steps) < MAX_VERTEXES:
            self._steps[vertex.digest] = _Step(len(self._steps) + 1, vertex.name)

    def _advance(self, vertex: Vertex) -> Iterator[str]:
        step = self._steps.get(vertex.digest)
        state = _state(vertex)
        if step is None or not state or state == step.shown:
            return
        if not step.shown:
            yield f"#{step.number} {step.name}"
        step.shown = state
        if vertex.error and not vertex.error.endswith("context canceled"):
            self._failed = vertex.digest
        if state != "started":
            yield from self._flush(vertex.digest, step)
            yield f"#{step.number} {state}"

    def _part(self, status: Status) -> Iterator[str]:
        step = self._steps.get(status.vertex)
        key = (status.vertex, status.id)
        if step is not None and status.completed and key not in self._done and len(self._done) < MAX_VERTEXES:
            self._done.add(key)
            yield f"#{step.number} {status.id} done"

    def _write(self, output: StepOutput) -> Iterator[str]:
        step = self._steps.get(output.vertex)
        if step is None:
            return
        *whole, rest = (step.rest.get(output.stream, b"") + output.data).split(b"\n")
        if len(rest) > MAX_LINE:  # the end is dropped: two lines made of one could hide half a secret each
            rest = rest.rsplit(b"\r", 1)[-1][:MAX_LINE]
        step.rest[output.stream] = rest
        for line in whole:
            yield self._line(output.vertex, step, line)

    def _flush(self, digest: str, step: _Step) -> Iterator[str]:
        for stream, rest in step.rest.items():
            if rest:
                step.rest[stream] = b""
                yield self._line(digest, step, rest)

    def _line(self, digest: str, step: _Step, raw: bytes) -> str:
        raw = raw.rstrip(b"\r").rsplit(b"\r", 1)[-1]  # a progress bar redraws its line: only the last counts
        line = _text(raw)
        tail = self._tails.setdefault(digest, [])
        tail.append(line if len(raw) < MAX_LINE else whole_words(_text(raw[:MAX_LINE])))
        del tail[: -self.TAIL]
        return f"#{step.number} {line}"


def whole_words(line: str) -> str:
    """Return a line that was cut without its last word, which may be half a secret now: no mask would know it."""
    return line.rpartition(" ")[0]


def _state(vertex: Vertex) -> str:
    if vertex.error:
        return f"ERROR: {vertex.error}"
    if vertex.cached:
        return "CACHED"
    if vertex.completed:
        return f"DONE {max(0.0, vertex.completed - vertex.started):.1f}s"
    return "started" if vertex.started else ""
