"""How Celery is set up: what would bring a failure back that was seen with its defaults."""

import pytest

from workers.application import make_celery


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task_acks_late", False),
        ("worker_prefetch_multiplier", 1),
        ("worker_disable_prefetch", True),
        ("broker_connection_retry_on_startup", True),
        ("broker_connection_max_retries", None),
        ("broker_channel_error_retry", True),
    ],
)
def test_a_worker_sits_on_no_message_and_waits_for_its_broker(name: str, value: object) -> None:
    assert make_celery("redis://127.0.0.1:1/0").conf[name] == value


def test_a_hung_broker_hangs_nobody_and_long_work_is_not_handed_out_twice() -> None:
    told = make_celery("redis://127.0.0.1:1/0").conf.broker_transport_options
    assert 0 < told["socket_connect_timeout"] <= told["socket_timeout"] <= 10
    assert (told["visibility_timeout"], told["health_check_interval"]) == (86400, 10)
