"""`refundctl refund`: ask the deployed interface for refunds, one or many, as any caller would.

What is read before (Stripe, the processor, the ledger) is read with the operator's own rights; the
money is asked for over HTTP alone, with the operator's own key, so that nothing is done here that a
caller could not do.

In the order of the data: `wish.py` → `preview.py` → `service.py` → `asking.py` → `following.py`;
for many: `csv_rows.py` → `batch.py` → `checking.py`, or `sending.py` → `results.py`.
"""
