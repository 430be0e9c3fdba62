"""What runs in the measured processes: each module's ``make()`` returns what does the jobs."""
