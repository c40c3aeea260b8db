"""Protobuf's wire format: what is written is read, and nonsense is refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.clients.protobuf import Fields, ProtobufError, bytes_field, fields


@given(st.integers(1, 15), st.binary(max_size=70_000))
def test_what_is_written_is_read(number: int, value: bytes) -> None:
    assert list(fields(bytes_field(number, value))) == [(number, value)]


def test_the_last_of_several_values_counts() -> None:
    message = Fields(bytes_field(1, b"one") + bytes_field(1, b"two") + b"\x10\x96\x01")
    assert (message.bytes(1), message.number(2)) == (b"two", 150)


def test_what_is_not_there_or_of_another_kind_is_empty() -> None:
    message = Fields(bytes_field(1, b"text") + b"\x10\x01")
    assert (message.bytes(9), message.number(9), message.number(1), message.bytes(2)) == (b"", 0, 0, b"")


@given(st.binary(max_size=64))
def test_nonsense_is_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(ProtobufError):
        Fields(raw)


@pytest.mark.parametrize("raw", [b"\x0a\x05ab", b"\x0a", b"\x08" + b"\xff" * 11, b"\x0b"])
def test_what_is_cut_off_is_refused(raw: bytes) -> None:
    with pytest.raises(ProtobufError):
        list(fields(raw))
