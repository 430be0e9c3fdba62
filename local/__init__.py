"""The local cloud: everything that runs on a developer's machine and nothing that runs on AWS.

Read in this order: `build` (the SAM build), `emulator` (the embedded cloud), `deploy` (the template
onto it), `stack` (all of it together), `run` (`make run`).
"""
