"""What `refundctl doctor` checks: one file for each subject; each check yields findings."""
