"""The rules: pure code that uses the standard library only."""
