"""Plain values that every other room speaks about; standard library only, no I/O, no clock."""
