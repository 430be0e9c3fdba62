"""AWS's clients, the clock, threads, and the answers of a function."""
