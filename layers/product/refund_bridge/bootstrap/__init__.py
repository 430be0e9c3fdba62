"""Puts each function's world together: the only place that builds adapters.

Nothing but empty meters is built at import, and no secret, network or clock is touched before the
first call, so that a snapshot of an initialised function holds none of them. What is built is kept
for the life of the worker: clients and connections are made once.

A module for each function, so that none imports another one's part: a cold start pays for every
module (docs/performance.md).
"""
