"""The only part that faces the internet: bytes in, verified and parsed facts out."""
