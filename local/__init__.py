"""The local cloud: what runs only on a developer's machine, never on AWS.

Read in this order: `deploying/build.py` (the SAM build), `emulator` (the embedded cloud),
`deploying/deploy.py` (the template deployed to it), `stack` (all together), `run` (`make run`).
"""
