"""The subjects in the measured processes: each module's ``make()`` returns one that does jobs."""
