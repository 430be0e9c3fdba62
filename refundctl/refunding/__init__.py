"""`refundctl refund`: ask the deployed interface for refunds, one or many, as any caller would.

Stripe, the processor and the ledger are first read with the operator's own rights. The refund
itself is requested only over HTTP, with the operator's own key, so that this command can do nothing
that a caller could not do.

In the order of the data: `wish.py` → `preview.py` → `service.py` → `asking.py` → `following.py`;
for many: `csv_rows.py` → `batch.py` → `checking.py`, or `sending.py` → `results.py`.
"""
