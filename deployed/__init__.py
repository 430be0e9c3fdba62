"""A deployed stack as every tool outside it sees it: its clients, keys, secrets and commands."""
