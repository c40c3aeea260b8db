"""What a Docker engine said, rather than which request it said it to."""

import pytest
from docker.errors import APIError

from orchestrator.sandbox.argocd_engine import words_of


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (APIError("500 Server Error for http://e/images/create", explanation="no\nspace"), "no space"),
        (APIError("500 Server Error for http://e/images/create"), "500 Server Error for http://e/images/create"),
        (OSError("refused"), "refused"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_the_explanation_goes_before_the_request(error: Exception, words: str) -> None:
    assert words_of(error) == words
