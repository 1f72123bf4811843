"""The part of Prometheus's query language that Grafana's panels need: text in, columns in, lines out. Pure."""
