"""AWS's clients, clocks, threads and the answers of a function."""
