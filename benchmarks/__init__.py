"""How fast, small and cheap the service is, measured side by side on one machine (`make bench`)."""
