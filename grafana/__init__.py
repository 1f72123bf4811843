"""What an operator sees: dashboards as code."""
