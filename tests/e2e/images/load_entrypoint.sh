#!/bin/sh
# A client for tests: runs what it is given, and without arguments waits to be used by `kubectl exec`.
if [ $# -gt 0 ]; then exec "$@"; fi
trap 'exit 0' TERM INT
while :; do
  sleep 3600 &
  wait $!
done
