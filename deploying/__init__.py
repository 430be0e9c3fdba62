"""Builds the stack, brings it to AWS, and looks whether it works there."""
