"""`refundctl console`: the operator's page, served on this machine alone and only to be read.

The data flow: `sources.py` (what may be asked, and nothing that writes) → `open_now.py`,
`activity.py`, `queues.py` (what is asked, bounded) → `charts.py` (geometry) → `pages.py` and
`templates/` (HTML) → `server.py` behind `gate.py` (who is let in).
"""
