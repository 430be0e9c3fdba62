"""The code that this service is compared with, as its users would write it themselves."""
