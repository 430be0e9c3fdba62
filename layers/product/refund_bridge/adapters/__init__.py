"""DynamoDB, SQS, SSM and Stripe, behind the ports."""
