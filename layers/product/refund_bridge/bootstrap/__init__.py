"""Builds what each function works with (its "world"); the only place that makes adapters.

At import only empty meters are built. No secret, network or clock is used before the first call, so
that a snapshot of an initialised function contains none of them. What is built is kept for the life
of the worker: clients and connections are made once.

Each function has a module of its own, so that it does not import what only others need: every
module makes a cold start slower (docs/performance.md).
"""
