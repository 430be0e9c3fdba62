"""What webhooks and the daily sweep show of payments."""
