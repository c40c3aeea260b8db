"""Answers gRPC calls over HTTP/2 without doing I/O: bytes go in, bytes to be sent come out.

Calls with one request and one answer, uncompressed, as grpc.github.io/grpc/core/md_doc_p_r_o_t_o_c_o_l-_h_t_t_p2
describes them. The answering side of HTTP/2 may be whoever opened the connection, as in a session of BuildKit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import H2Error

MAX_REQUEST = 64 * 1024
"""Bytes of a request; ours hold a name."""
_PREFIX = 5
"""Bytes before each message: whether it is compressed, and its length in four."""

Method = Callable[[bytes], bytes]
"""Makes the answer from a request, both as protobuf; may raise `CallFailed`."""


class CallStatus(IntEnum):
    """How a call ended (gRPC's statuscodes.md), as far as we say it."""

    OK = 0
    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12


class CallFailed(Exception):
    """A method's way to end its call with another status than OK."""

    def __init__(self, status: CallStatus) -> None:
        super().__init__(status.name)
        self.status = status


class BrokenConnection(Exception):
    """The peer does not speak HTTP/2: one sentence why. Nothing more can be said on the connection."""


@dataclass(slots=True)
class _Call:
    """A call as it arrives, and then what of its answer could not be sent yet."""

    path: str
    request: bytearray = field(default_factory=bytearray)
    answer: memoryview | None = None


class GrpcServer:
    """The answering end of one connection.

    :param methods: by their paths: ``/moby.buildkit.secrets.v1.Secrets/GetSecret``. All other calls are answered with
        UNIMPLEMENTED, except for the question whether the server is well (gRPC's health-checking.md).
    """

    def __init__(self, methods: Mapping[str, Method]) -> None:
        self._methods = {"/grpc.health.v1.Health/Check": lambda _: b"\x08\x01", **methods}
        self._http = H2Connection(H2Configuration(client_side=False))
        self._calls: dict[int, _Call] = {}

    def begin(self) -> bytes:
        """Return what is to be sent first."""
        self._http.initiate_connection()
        return self._http.data_to_send()

    def take(self, received: bytes) -> bytes:
        """Take what has arrived, and return what is to be sent.

        :raises BrokenConnection: it is not HTTP/2.
        """
        try:
            events = self._http.receive_data(received)
            given_up = {event.stream_id for event in events if isinstance(event, StreamReset)}
            for event in events:
                if getattr(event, "stream_id", None) not in given_up:
                    self._on(event)
            for stream in given_up:
                self._calls.pop(stream, None)
            for stream in [number for number, call in self._calls.items() if call.answer is not None]:
                self._send(stream)
        except H2Error as error:
            raise BrokenConnection(str(error) or type(error).__name__) from error
        return self._http.data_to_send()

    def _on(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self._calls[event.stream_id] = _Call(dict(event.headers)[b":path"].decode("ascii", "replace"))
        elif isinstance(event, DataReceived):
            self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if event.stream_id in self._calls:
                self._gather(event.stream_id, event.data)
        elif isinstance(event, StreamEnded) and event.stream_id in self._calls:
            self._answer(event.stream_id)

    def _gather(self, stream: int, data: bytes) -> None:
        request = self._calls[stream].request
        request += data
        if len(request) > MAX_REQUEST:
            self._end(stream, CallStatus.RESOURCE_EXHAUSTED)

    def _answer(self, stream: int) -> None:
        call = self._calls[stream]
        try:
            method = self._methods.get(call.path, _unimplemented)
            answer = method(_message(call.request))
        except CallFailed as failed:
            self._end(stream, failed.status)
            return
        self._http.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        call.answer = memoryview(b"\0" + len(answer).to_bytes(4, "big") + answer)

    def _send(self, stream: int) -> None:
        """Send of an answer what the peer takes at the moment; it says so when it takes more."""
        call = self._calls[stream]
        while call.answer:
            most = min(self._http.local_flow_control_window(stream), self._http.max_outbound_frame_size)
            if most <= 0:
                return
            self._http.send_data(stream, bytes(call.answer[:most]))
            call.answer = call.answer[most:]
        self._http.send_headers(stream, [("grpc-status", str(CallStatus.OK.value))], end_stream=True)
        del self._calls[stream]

    def _end(self, stream: int, status: CallStatus) -> None:
        """Answer without a message."""
        headers = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", str(status.value))]
        self._http.send_headers(stream, headers, end_stream=True)
        del self._calls[stream]


def _unimplemented(_request: bytes) -> bytes:
    raise CallFailed(CallStatus.UNIMPLEMENTED)


def _message(request: bytearray) -> bytes:
    """Return the one message of a request."""
    if len(request) < _PREFIX or int.from_bytes(request[1:_PREFIX], "big") != len(request) - _PREFIX:
        raise CallFailed(CallStatus.INVALID_ARGUMENT)
    if request[0]:  # no compression was offered, so nobody may use one
        raise CallFailed(CallStatus.UNIMPLEMENTED)
    return bytes(request[_PREFIX:])
