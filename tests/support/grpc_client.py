"""A gRPC client without I/O, as far as the engine is one: it asks, and reads how its calls end."""

from dataclasses import dataclass, field
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, TrailersReceived
from h2.settings import SettingCodes


@dataclass(slots=True)
class Call:
    """One call: its message with the five bytes in front, and its status once it has ended."""

    unsent: bytes | None = None
    answer: bytearray = field(default_factory=bytearray)
    status: str = ""
    ended: bool = False

    @property
    def message(self) -> bytes:
        assert self.answer[:1] == b"\0"
        assert int.from_bytes(self.answer[1:5], "big") == len(self.answer) - 5
        return bytes(self.answer[5:])


class GrpcClient:
    """The asking end of a connection.

    :param window: bytes of an answer that it takes before it says that it takes more.
    """

    def __init__(self, window: int = 65_535) -> None:
        self.http = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.http.local_settings = type(self.http.local_settings)(
            client=True, initial_values={SettingCodes.INITIAL_WINDOW_SIZE: window}
        )
        self.calls: dict[int, Call] = {}
        self.http.initiate_connection()

    def ask(self, path: str, request: bytes, *, prefix: bytes | None = None) -> int:
        """Begin a call and return its number. :param prefix: in place of the right five bytes."""
        stream = self.http.get_next_available_stream_id()
        self.calls[stream] = Call()
        headers = [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", path)]
        self.http.send_headers(stream, [*headers, ("content-type", "application/grpc"), ("te", "trailers")])
        self.calls[stream].unsent = (b"\0" + len(request).to_bytes(4, "big") if prefix is None else prefix) + request
        return stream

    def to_send(self) -> bytes:
        for stream, call in self.calls.items():
            self._send(stream, call)
        return self.http.data_to_send()

    def _send(self, stream: int, call: Call) -> None:
        while call.unsent is not None and not call.ended:
            most = min(self.http.local_flow_control_window(stream), self.http.max_outbound_frame_size)
            if call.unsent and most <= 0:
                return
            part, rest = call.unsent[:most], call.unsent[most:]
            self.http.send_data(stream, part, end_stream=not rest)
            call.unsent = rest or None

    def take(self, data: bytes) -> None:
        for event in self.http.receive_data(data):
            self._on(event)

    def _on(self, event: Any) -> None:
        call = self.calls.get(getattr(event, "stream_id", 0))
        if call is None:
            return
        if isinstance(event, (ResponseReceived, TrailersReceived)):
            call.status = dict(event.headers).get("grpc-status", call.status)
        elif isinstance(event, DataReceived):
            call.answer += event.data
            self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            call.ended = True
