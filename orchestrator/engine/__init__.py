"""What happens next, as pure functions: no I/O, no clock, no database."""
