"""What the adapters of processors share."""
