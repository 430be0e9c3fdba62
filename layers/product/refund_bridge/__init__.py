"""Refund Bridge: makes a refund exactly once at the processor, and tells Stripe of it.

Read in this order: ``domain`` (facts and rules, standard library only), ``ports`` (interfaces to
the outside), ``refunding``, ``reporting``, ``settling`` and ``observing`` (the use cases),
``processors`` and ``adapters`` (implementations of the ports), ``bootstrap`` (wires everything).
"""
