"""The messages of one build, by either builder, turned into log lines and an image id or an error."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients.buildkit_trace import MAX_LINE, Progress, TraceError, decode, whole_words
from workers.clients.engine_errors import build_error


class BuildOutput:
    """Takes the messages as they come and writes their lines.

    :param on_line: gets each complete line.
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._progress = Progress()
        self._classic = ClassicOutput()
        self._image = ""

    def take(self, message: Mapping[str, Any]) -> None:
        """Write what one message says.

        :raises Refused, Unavailable: the message is an error; see `build_error`.
        """
        if "error" in message or "errorDetail" in message:
            self._close()
            detail = message.get("errorDetail")
            text = (detail.get("message") if isinstance(detail, dict) else "") or message.get("error") or "unknown"
            step, tail = self._progress.failed or self._classic.step, self._progress.tail or self._classic.tail
            raise build_error(str(text), step, tail)
        aux = message.get("aux")
        if message.get("id") == "moby.buildkit.trace":
            self._trace(str(aux))
        elif isinstance(aux, dict) and aux.get("ID"):
            self._image = str(aux["ID"])
        elif message.get("stream"):
            self._write(self._classic.add(str(message["stream"])))
        elif message.get("status") and not message.get("progressDetail"):
            self._on_line(" ".join(str(message[key]) for key in ("id", "status") if message.get(key)))

    def finish(self) -> str:
        """Write what is left and return the image id.

        :raises Unavailable: ENGINE_UNAVAILABLE, the stream ended without one (the engine was stopped).
        """
        self._close()
        if not self._image:
            raise Unavailable(Reason.ENGINE_UNAVAILABLE, "the build's output ended before the image was there")
        return self._image

    def _trace(self, text: str) -> None:
        try:
            message = decode(text)
        except TraceError as error:
            self._on_line(f"(a progress message cannot be read: {error})")
            return
        self._write(self._progress.lines(message))

    def _write(self, lines: Iterator[str]) -> None:
        for line in lines:
            self._on_line(line)

    def _close(self) -> None:
        self._write(self._progress.rest())
        self._write(self._classic.rest())


class ClassicOutput:
    """The classic builder's output, which comes in pieces; ``step`` and ``tail`` are those of the step at work."""

    TAIL = 20

    def __init__(self) -> None:
        self.step = ""
        self.tail: tuple[str, ...] = ()
        self._rest = ""

    def add(self, text: str) -> Iterator[str]:
        """Yield the lines that `text` completes."""
        *whole, self._rest = (self._rest + text).split("\n")
        if len(self._rest) > MAX_LINE:  # the end is dropped: two lines made of one could hide half a secret each
            self._rest = self._rest.rsplit("\r", 1)[-1][:MAX_LINE]
        for line in whole:
            yield self._seen(line.rstrip("\r").rsplit("\r", 1)[-1])

    def rest(self) -> Iterator[str]:
        """Yield the unfinished line at the end."""
        if self._rest:
            line, self._rest = self._rest, ""
            yield self._seen(line)

    def _seen(self, line: str) -> str:
        if line.startswith("Step "):
            self.step, self.tail = line.partition(" : ")[2], ()
        elif line.strip() and not line.startswith(" --->") and not line.startswith("Removing intermediate"):
            kept = line if len(line) < MAX_LINE else whole_words(line[:MAX_LINE])
            self.tail = (*self.tail, kept)[-self.TAIL :]
        return line
