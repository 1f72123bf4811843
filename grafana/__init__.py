"""What an operator sees: dashboards as code, for Grafana 10.1 and later. `python -m grafana --help`."""
