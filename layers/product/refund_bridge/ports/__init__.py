"""The ports: interfaces that the use cases need, one module for each kind of counterpart.

The adapters implement them with DynamoDB, SQS, Stripe and processors; the tests implement them in
memory. One contract suite runs against both (``tests/contract``).
"""
