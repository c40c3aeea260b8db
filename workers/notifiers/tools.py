"""What a notifier may use: one way to post, and the clock."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from workers.clients import outbound
from workers.clients.outbound import Posted


class Post(Protocol):
    """Post once; see `workers.clients.outbound.post` for what goes in, what comes out and what is raised."""

    def __call__(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        allow_private: bool,
        patience: float = outbound.READ_TIMEOUT,
        ca_file: str = "",
    ) -> Posted:
        """Return the answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierTools:
    """:param now: seconds since 1970, UTC."""

    now: Callable[[], float]
    post: Post = outbound.post
