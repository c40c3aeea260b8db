"""BuildKit's progress messages, as an engine 20.10 sent them and as a hostile one could."""

import base64
from pathlib import Path

import pytest

from workers.clients.build_output import ClassicOutput
from workers.clients.buildkit_trace import MAX_LINE, Progress, StatusResponse, StepOutput, TraceError, Vertex, decode

RECORDED = (Path(__file__).parent / "recorded" / "buildkit-trace-20.10.txt").read_text().split()


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def test_a_recorded_build_reads_like_the_docker_command() -> None:
    progress = Progress()
    lines = [line for text in RECORDED for line in progress.lines(decode(text))]
    assert any(line.endswith("[internal] load remote build context") for line in lines)
    assert any(line.endswith("one") for line in lines)
    assert any(line.endswith("two") for line in lines)
    assert any("ERROR: executor failed running" in line for line in lines)
    assert progress.failed.startswith("[2/2] RUN")
    assert set(progress.tail) == {"one", "two"}


def test_a_step_is_announced_once_and_keeps_its_number() -> None:
    progress = Progress()
    first = StatusResponse(vertexes=(Vertex(digest="a", name="[1/1] RUN make", started=10.0),))
    done = StatusResponse(vertexes=(Vertex(digest="a", name="[1/1] RUN make", started=10.0, completed=12.5),))
    lines = [*progress.lines(first), *progress.lines(first), *progress.lines(done), *progress.lines(done)]
    assert lines == ["#1 [1/1] RUN make", "#1 DONE 2.5s"]


def written(*pieces: bytes, stream: int = 1) -> list[str]:
    progress = Progress()
    list(progress.lines(StatusResponse(vertexes=(Vertex(digest="a", name="step", started=1.0),))))
    lines: list[str] = []
    for piece in pieces:
        lines += progress.lines(StatusResponse(outputs=(StepOutput(vertex="a", stream=stream, data=piece),)))
    return [*lines, *progress.rest()]


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ((b"one\ntwo\n",), ["#1 one", "#1 two"]),
        ((b"on", b"e\ntw", b"o"), ["#1 one", "#1 two"]),
        ((b"caf\xc3", b"\xa9\n"), ["#1 café"]),
        ((b"\xff\n",), ["#1 �"]),
        ((b"10%\r50%\r100%\r\n",), ["#1 100%"]),
        ((b"\n",), ["#1 "]),
    ],
)
def test_pieces_become_whole_lines(pieces: tuple[bytes, ...], lines: list[str]) -> None:
    assert written(*pieces) == lines


LONG = "x" * (MAX_LINE - 3)
SECRET = "s3cr3t-0123456789"


@pytest.mark.parametrize(
    ("pieces", "line"),
    [
        ((LONG + SECRET[:6], SECRET[6:] + "\n"), LONG + SECRET[:3] + SECRET[6:]),
        ((LONG + SECRET, "\n", ""), LONG + SECRET[:3]),
        (("10%" * MAX_LINE + "\r20%", "\r100%\n"), "100%"),
    ],
    ids=["the rest is dropped", "up to its end", "a progress bar goes on"],
)
@pytest.mark.parametrize("builder", ["buildkit", "classic"])
def test_a_line_without_an_end_does_not_grow_and_stays_one_line(
    builder: str, pieces: tuple[str, ...], line: str
) -> None:
    """Two lines made of one could hide half a secret each from what masks them."""
    if builder == "buildkit":
        assert written(*(piece.encode() for piece in pieces)) == [f"#1 {line}"]
    else:
        lines = ClassicOutput()
        assert [one for piece in pieces for one in lines.add(piece)] == [line]


@pytest.mark.parametrize("pieces", [("f-secret\n",), ("f-secret", " and on", "\n"), (" and-secret\n",)])
def test_the_last_lines_of_a_failed_step_have_no_half_of_a_word(pieces: tuple[str, ...]) -> None:
    """Where a line has grown too long its end is dropped; what is left of a secret then is not known as one."""
    begin = "x " * (MAX_LINE // 2 - 2) + "hal"
    classic, progress = ClassicOutput(), Progress()
    list(progress.lines(StatusResponse(vertexes=(Vertex(digest="a", name="RUN make", started=1.0),))))
    for text in (begin, "f-of-a-secr", *pieces):
        list(classic.add(text))
        list(progress.lines(StatusResponse(outputs=(StepOutput(vertex="a", stream=1, data=text.encode()),))))
    list(
        progress.lines(
            StatusResponse(vertexes=(Vertex(digest="a", name="RUN make", started=1.0, error="exit code: 1"),))
        )
    )
    assert classic.tail == progress.tail == (begin.removesuffix(" hal"),)


def test_the_two_streams_do_not_mix_within_a_line() -> None:
    progress = Progress()
    list(progress.lines(StatusResponse(vertexes=(Vertex(digest="a", name="step", started=1.0),))))
    outputs = (StepOutput(vertex="a", stream=1, data=b"out "), StepOutput(vertex="a", stream=2, data=b"err\n"))
    assert list(progress.lines(StatusResponse(outputs=outputs))) == ["#1 err"]
    assert list(progress.rest()) == ["#1 out "]


def test_cached_steps_and_layers_are_told() -> None:
    progress = Progress()
    vertex = b"\x0a\x01a\x1a\x04step\x20\x01\x2a\x02\x08\x01"
    status = b"\x0a\x05layer\x12\x01a\x42\x02\x08\x05"
    text = encoded(b"\x0a" + bytes([len(vertex)]) + vertex + b"\x12" + bytes([len(status)]) + status)
    assert list(progress.lines(decode(text))) == ["#1 layer done", "#1 step", "#1 CACHED"]


def test_steps_that_were_only_stopped_are_not_the_failed_one() -> None:
    progress = Progress()
    vertexes = (
        Vertex(digest="a", name="bad", started=1.0, error="exit code: 1"),
        Vertex(digest="b", name="other", started=1.0, error="context canceled"),
    )
    list(progress.lines(StatusResponse(vertexes=vertexes)))
    assert progress.failed == "bad"


def test_warnings_are_shown() -> None:
    text = encoded(b"\x22\x0b" + b"\x0a\x01a\x1a\x06casing"[:11])
    assert list(Progress().lines(decode(text))) == ["WARNING: casing"]


def test_unknown_fields_are_stepped_over() -> None:
    unknown = b"\x49" + b"\0" * 8 + b"\x55" + b"\0" * 4 + b"\x78\x01" + b"\x82\x01\x02hi"
    assert decode(encoded(unknown)) == StatusResponse()


@pytest.mark.parametrize(
    "text",
    ["%%%", encoded(b"\x0a\x05ab"), encoded(b"\x0a"), encoded(b"\x08" + b"\xff" * 11), encoded(b"\x0b"), "é"],
    ids=["no base64", "cut off", "no length", "endless number", "unknown wire type", "not ascii"],
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(TraceError):
        decode(text)


def test_every_cut_of_a_recorded_message_is_refused_or_read() -> None:
    raw = base64.b64decode(max(RECORDED, key=len))
    for end in range(len(raw)):
        try:
            decode(encoded(raw[:end]))
        except TraceError:
            continue
