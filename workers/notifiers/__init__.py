"""One file per channel, one function each: ``send(message, channel, previous, tools)``."""
