"""One refund, from the request to the doorbell, in reading order.

``execute``, ``locate_payment``, ``learn_from_charge``, ``reserve``, ``send``, ``record_outcome``,
``wake_reporter``.
"""
