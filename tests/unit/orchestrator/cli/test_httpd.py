"""What the HTTP server is told."""

from orchestrator.cli.httpd import Httpd


def test_no_socket_is_opened_in_the_home_folder() -> None:
    """By default all servers of one account share one there, and a home that cannot be written ends the start."""
    assert Httpd(lambda: None, "127.0.0.1:0").cfg.control_socket_disable is True
