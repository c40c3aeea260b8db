"""What the contract tests share."""

from tests.support.chats import chat

__all__ = ["chat"]
