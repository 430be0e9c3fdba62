"""What `refundctl doctor` looks at, one subject a file; each check is a generator of findings."""
