"""What a live test of the observability stands on: real services, a real Prometheus, load and faults, on 127.0.0.1."""
