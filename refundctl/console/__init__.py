"""`refundctl console`: the operator's read-only page, served on this machine alone.

The data flow: `sources.py` (the reads that the console may make; none writes) → `open_now.py`,
`activity.py`, `monthly.py` (what is read, and at most how much) → `charts.py` (geometry) →
`pages.py` and `templates/` (HTML) → `server.py`, behind `gate.py` (which requests are answered).
"""
