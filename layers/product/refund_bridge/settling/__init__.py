"""Every minute: moves on what is due."""
