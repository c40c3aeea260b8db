"""Headers are found in any case."""

from webhooks.headers import Headers


def test_a_header_is_found_in_any_case() -> None:
    headers = Headers([("X-GitHub-Event", "push")])
    assert headers["x-github-event"] == headers["X-GITHUB-EVENT"] == "push"
    assert "x-Github-event" in headers
    assert headers.get("absent") is None
    assert list(headers) == ["x-github-event"]
    assert len(headers) == 1


def test_a_header_that_was_sent_twice_is_joined() -> None:
    assert Headers([("A", "1"), ("a", "2")])["A"] == "1,2"
