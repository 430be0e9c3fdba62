"""Refund Bridge: a refund that happens exactly once at the processor, and that Stripe hears of.

Read in the direction of the data: ``money``, ``state_machine`` and ``refund`` (facts and rules,
standard library only), ``payment`` (the arithmetic of one payment), ``ports`` (what the use cases
ask of the world), ``execute``, ``settle``, ``observe`` and ``report`` (the use cases),
``processors`` and ``adapters`` (the world), ``bootstrap`` (the only place that puts them together).
"""
