"""What the end-to-end tests stand on: a cluster, what lives in it, load, and the results."""
