"""The rules: pure, of the standard library only."""
