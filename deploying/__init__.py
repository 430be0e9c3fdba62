"""Builds the stack, deploys it to AWS, and checks that it works there."""
