"""`refundctl`: see, decide and repair, on AWS and on the local cloud.

One file for each group of commands; `command.py` lists them all. Target, output and exit codes are
the same for every command (`options.py`, `target.py`, `output.py`, `exits.py`).
"""
