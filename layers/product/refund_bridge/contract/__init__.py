"""What callers ask and are shown: requests, the refund object, the OpenAPI document."""
