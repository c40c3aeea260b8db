"""Which files go to the engine."""

import io

import pytest

from orchestrator.domain.errors import Cancelled, Refused
from orchestrator.domain.reasons import Reason
from workers.clients.build_context import dockerfile_path, ignore_files, left_out, pieces


@pytest.mark.parametrize(
    ("given", "plain"),
    [("Dockerfile", "Dockerfile"), ("./a//Dockerfile", "a/Dockerfile"), ("a/../Dockerfile", "Dockerfile")],
)
def test_dockerfile_paths_become_plain(given: str, plain: str) -> None:
    assert dockerfile_path(given) == plain


@pytest.mark.parametrize("given", ["", ".", "..", "/etc/passwd", "../Dockerfile", "a/../../x", "a\\b", "a\0b"])
def test_dockerfiles_outside_the_context_are_refused(given: str) -> None:
    with pytest.raises(Refused) as caught:
        dockerfile_path(given)
    assert caught.value.reason is Reason.CONFIG_INVALID


def test_the_dockerfiles_own_rules_go_first_with_buildkit() -> None:
    assert ignore_files("web/Dockerfile", "buildkit") == ("web/Dockerfile.dockerignore", ".dockerignore")
    assert ignore_files("web/Dockerfile", "classic") == (".dockerignore",)


def test_the_dockerfile_is_sent_even_when_the_rules_say_no() -> None:
    leave_out = left_out(b"*", "docker/Dockerfile")
    assert not leave_out("docker/Dockerfile")
    assert leave_out("docker/other")


def test_a_folder_that_holds_the_dockerfile_is_not_left_out_whole() -> None:
    leave_out = left_out(b"*", "lib/Dockerfile")
    assert [leave_out.whole(folder) for folder in ("lib", "lib2", "lib/Dockerfile")] == [False, True, True]


def test_without_rules_everything_is_sent() -> None:
    assert not left_out(None, "Dockerfile").whole("lib")
    assert not left_out(None, "Dockerfile")("secret.env")


def test_work_that_is_to_stop_stops_between_two_files() -> None:
    left = iter(range(2))

    def checkpoint() -> None:
        if next(left, None) is None:
            raise Cancelled

    leave_out = left_out(b"*.md", "Dockerfile", checkpoint)
    assert [leave_out("a.md"), leave_out("a.py")] == [True, False]
    with pytest.raises(Cancelled):
        leave_out("b.md")


def test_a_stream_is_sent_in_bounded_pieces() -> None:
    sizes = [len(piece) for piece in pieces(io.BytesIO(b"x" * 1_000_000))]
    assert sum(sizes) == 1_000_000
    assert max(sizes) <= 256 * 1024
