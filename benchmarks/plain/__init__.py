"""What this service is compared with, written as its users would write it."""
