"""What residents are told: messages made of notices, sent, written down. A process of its own beside the service."""
