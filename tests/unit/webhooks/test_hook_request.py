"""What a webhook needs of HTTP, as servers hand it over."""

from typing import Any

import pytest

from webhooks.hook_request import HookRequest


def asked(**environ: Any) -> HookRequest:
    return HookRequest(
        {"REQUEST_METHOD": "POST", "PATH_INFO": "/webhooks/github", "wsgi.multithread": True} | environ
    )


def test_headers_are_those_of_the_request_alone() -> None:
    request = asked(
        HTTP_X_GITHUB_EVENT="push",
        CONTENT_TYPE="application/json",
        HTTP_CONTENT_TYPE="text/plain",
        HTTP_CONTENT_LENGTH="9",
        SERVER_NAME="x",
        CONTENT_LENGTH="12",
    )
    assert dict(request.headers) == {
        "x-github-event": "push",
        "content-type": "application/json",
        "content-length": "12",
    }


@pytest.mark.parametrize(
    ("sent", "length"),
    [
        ({}, None),
        ({"CONTENT_LENGTH": ""}, None),
        ({"CONTENT_LENGTH": "12"}, 12),
        ({"CONTENT_LENGTH": "-1"}, 0),
        ({"CONTENT_LENGTH": "1e3"}, 0),
        ({"CONTENT_LENGTH": "12", "HTTP_TRANSFER_ENCODING": "chunked"}, None),
    ],
)
def test_a_length_counts_only_where_one_is_announced(sent: dict[str, str], length: int | None) -> None:
    assert asked(**sent).content_length == length


@pytest.mark.parametrize(
    ("sent", "media_type", "charset"),
    [
        (None, "", None),
        ("application/json", "application/json", None),
        ("Application/JSON; charset=UTF-8", "application/json", "UTF-8"),
        ('application/json;charset="utf-8"', "application/json", "utf-8"),
    ],
)
def test_a_content_type_is_read_with_its_charset(sent: str | None, media_type: str, charset: str | None) -> None:
    found, parameters = (asked() if sent is None else asked(CONTENT_TYPE=sent)).content_type()
    assert (found, parameters.get("charset")) == (media_type, charset)


def test_a_path_is_the_text_that_was_meant() -> None:
    assert asked(PATH_INFO="/webhooks/한글".encode().decode("latin-1")).path == "/webhooks/한글"


def test_a_peer_without_an_address_has_none() -> None:
    """Behind a Unix socket."""
    assert asked().remote == ""
    assert asked(REMOTE_ADDR="192.0.2.7").remote == "192.0.2.7"
