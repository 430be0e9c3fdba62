"""The CCG gateway."""
