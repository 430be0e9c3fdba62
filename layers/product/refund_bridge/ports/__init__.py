"""What the use cases ask of the world, each promise in words; by who is opposite.

The adapters keep these promises with DynamoDB, SQS, Stripe and processors; the tests keep them in
memory. One contract suite runs against both (``tests/contract``).
"""
