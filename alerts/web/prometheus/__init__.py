"""The part of Prometheus's HTTP API that Grafana calls (https://prometheus.io/docs/prometheus/latest/querying/api/)."""
