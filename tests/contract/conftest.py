"""What the contract tests share."""

from tests.support.chats import chat, forge, receiver

__all__ = ["chat", "forge", "receiver"]
