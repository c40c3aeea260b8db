"""OpenTelemetry traces: one for each run, put together from what every process tells of it.

Unless the standard variables ask for it, nothing is loaded and nothing is done. The ids of a run's trace, of its root
span and of its stages follow from the run: processes agree on them without telling each other.
"""

import hashlib
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orchestrator import journal

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

ROOT = "run"
"""The key of the root span."""
FLUSH = 5.0
"""Seconds that a process waits at its end for a collector to take the last spans."""
_PROTOCOL = "http/protobuf"

log = journal.get(__name__)


@dataclass(frozen=True, slots=True)
class Trace:
    """Where spans belong: to a run. When it was accepted tells runs of the same number apart (another database)."""

    run: int
    created_at: datetime

    @property
    def id(self) -> str:
        """The trace's id: 32 hexadecimal digits."""
        return _digest(f"{self.run} {self.created_at.isoformat(timespec='seconds')}", 32)

    def span_id(self, key: str) -> str:
        """Return the id of the span with this key: `ROOT`, or the name of a stage."""
        return _digest(f"{self.id} {key}", 16)


class Span:
    """A span that is going on; `note` does nothing where nobody records it."""

    def __init__(self, recorded: Any = None) -> None:
        self._recorded = recorded

    def note(self, **attributes: str | int | None) -> None:
        """Add what was found out."""
        if self._recorded is not None:
            self._recorded.set_attributes(_named(attributes))


_provider: "TracerProvider | None" = None
_tracer: "Tracer | None" = None


def is_on() -> bool:
    """Tell whether this process sends spans."""
    return _tracer is not None


def start(environ: Mapping[str, str] = os.environ) -> None:
    """Begin to send spans if the environment asks for it; to be called in each process, after it was forked."""
    global _provider, _tracer  # noqa: PLW0603  # one per process, as the log
    _provider = _tracer = None
    if not wanted(environ):
        return
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol not in (None, "", _PROTOCOL):
        log.warning("traces not sent", detail=f"OTLP is spoken as {_PROTOCOL} only, not as {protocol}")
        return
    try:
        _provider = _make_provider(environ)
    except ImportError as error:
        log.warning("traces not sent", detail=f"the extra `otel` is not installed ({error})")
        return
    except ValueError as error:  # of a variable that OpenTelemetry does not take, or of two that do not go together
        log.warning("traces not sent", detail=f"a variable of OpenTelemetry is wrong: {error}")
        return
    _tracer = _provider.get_tracer("pilotage")


def stop() -> None:
    """Send what is left and send no more; it never takes long."""
    global _provider, _tracer
    provider, _provider, _tracer = _provider, None, None
    if provider is not None:
        last = threading.Thread(target=provider.shutdown, name="traces", daemon=True)
        last.start()
        last.join(FLUSH)


def wanted(environ: Mapping[str, str]) -> bool:
    """Tell whether the standard variables ask for traces; without any of them nothing is sent anywhere."""
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or exporter == "none":
        return False
    if exporter not in ("", "otlp"):
        log.warning("traces not sent", detail=f"there is no exporter {exporter} here, only otlp")
        return False
    named = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return exporter == "otlp" or any(environ.get(name) for name in named)


def shown(trace: Trace) -> str | None:
    """Return the trace's id for log lines, or None where traces are off."""
    return trace.id if is_on() else None


@contextmanager
def span(name: str, trace: Trace, parent: str = ROOT, **attributes: str | int | None) -> Iterator[Span]:
    """Record a span around the block, and have the log lines inside carry the trace's id.

    :param parent: key of the span above it.
    """
    if _tracer is None:
        yield Span()
        return
    with (
        journal.about(trace_id=trace.id),
        _going_on(_tracer, name, _of(trace, attributes), _below(trace, parent)) as recorded,
    ):
        yield Span(recorded)


@contextmanager
def inner(name: str, **attributes: str | int | None) -> Iterator[None]:
    """Record a span inside the one that this thread is in."""
    if _tracer is None:
        yield
        return
    with _going_on(_tracer, name, _named(attributes)):
        yield


@contextmanager
def _going_on(
    tracer: "Tracer", name: str, attributes: dict[str, str | int], context: "Context | None" = None
) -> Iterator[Any]:
    """Have a span of an exception's kind alone: its words go to a log or a run, where secrets are masked."""
    from opentelemetry.trace import StatusCode

    with tracer.start_as_current_span(
        name, context, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as recorded:
        try:
            yield recorded
        except BaseException as error:
            recorded.set_status(StatusCode.ERROR, type(error).__name__)
            raise


def record(
    name: str,
    trace: Trace,
    begun: datetime,
    ended: datetime,
    *,
    key: str = "",
    failed: str = "",
    **attributes: str | int | None,
) -> None:
    """Record a span of something that is over.

    :param key: of the span, where others are below it; `ROOT`: it is the root, else it is below the root.
    :param failed: why it failed, as a code; "": it did not.
    """
    if _tracer is None:
        return
    from opentelemetry.context import Context
    from opentelemetry.trace import StatusCode

    above = Context() if key == ROOT else _below(trace, ROOT)
    with _ids(trace, key):
        made = _tracer.start_span(name, above, attributes=_of(trace, attributes), start_time=_nanoseconds(begun))
    if failed:
        made.set_status(StatusCode.ERROR, failed)
    made.end(_nanoseconds(ended))


_next = threading.local()
"""The ids that the next span of this thread gets, where they follow from the run."""


@contextmanager
def _ids(trace: Trace, key: str) -> Iterator[None]:
    _next.trace = int(trace.id, 16)
    _next.span = int(trace.span_id(key), 16) if key else None
    try:
        yield
    finally:
        del _next.trace, _next.span


def _below(trace: Trace, key: str) -> "Context":
    """Return the context of a span that another process may have recorded, or will."""
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.sampling import Decision
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    if _provider is None:  # it was stopped meanwhile
        return Context()
    number = int(trace.id, 16)
    decision = _provider.sampler.should_sample(Context(), number, ROOT).decision
    flags = TraceFlags(TraceFlags.SAMPLED if decision is Decision.RECORD_AND_SAMPLE else TraceFlags.DEFAULT)
    above = SpanContext(number, int(trace.span_id(key), 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(above), Context())


def _make_provider(environ: Mapping[str, str]) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Ids(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return getattr(_next, "trace", None) or super().generate_trace_id()

        def generate_span_id(self) -> int:
            return getattr(_next, "span", None) or super().generate_span_id()

        def is_trace_id_random(self) -> bool:
            return False

    attributes: dict[str, str | int] = {"pilotage.process": journal.service(), "process.pid": os.getpid()}
    if "service.name=" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", "") and not environ.get("OTEL_SERVICE_NAME"):
        attributes["service.name"] = "pilotage"
    logging.getLogger("opentelemetry.exporter").setLevel("ERROR")  # each attempt to reach the collector is a warning
    provider = TracerProvider(id_generator=Ids(), resource=Resource.create(attributes), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _of(trace: Trace, attributes: Mapping[str, str | int | None]) -> dict[str, str | int]:
    return _named({"run": trace.run, **attributes})


def _named(attributes: Mapping[str, str | int | None]) -> dict[str, str | int]:
    """Name attributes so that they cannot be taken for those of OpenTelemetry's own conventions."""
    return {f"pilotage.{name}": value for name, value in attributes.items() if value is not None}


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000) * 1000


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]
