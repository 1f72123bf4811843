"""What operators watch the service by."""
