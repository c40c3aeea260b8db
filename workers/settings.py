"""How Celery is set up: each knob with the failure that it prevents."""

from typing import Any

CELERY: dict[str, Any] = {
    # A message is only "look at run N now"; the tables repeat it if it is lost. So it is acknowledged early: late
    # acknowledgement with a visibility timeout would start long work twice (celery#5935, kombu#337).
    "task_acks_late": False,
    "task_ignore_result": True,
    "task_store_errors_even_if_ignored": False,
    # A busy worker must not sit on messages that an idle one could take.
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    # The broker may come back after any time; 100 attempts, then exit, is the default.
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    # What Redis answers when it is a replica by now, or cannot write to its disk, is no lost connection to Celery: by
    # default the worker ends, with success.
    "broker_channel_error_retry": True,
    # A hung broker must not hang the publisher (default: for ever).
    "broker_transport_options": {
        "visibility_timeout": 86400,
        "socket_timeout": 10,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 10,
    },
    # Celery's own consumer shows no sign of life while it has no broker; a probe would restart it for that.
    "worker_consumer": "workers.program:Consumer",
    # Nobody gives commands to a worker through the broker; the queue for them would be one more thing to wait for.
    "worker_enable_remote_control": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "worker_send_task_events": False,
    "task_send_sent_event": False,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_default_queue": "deploy",
    "enable_utc": True,
}
