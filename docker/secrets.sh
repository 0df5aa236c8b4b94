#!/bin/sh
# Makes the files in docker/secrets that compose.yaml uses: a password for each login, and the broker's password
# files with their hashes, one for each listener. Existing passwords are kept; for a new password, remove its file first.
set -eu
cd "$(dirname "$0")"
broker=eclipse-mosquitto:2.0.22

# Containers read these files with their own user ids, so the files are readable by all and only the folder's
# permissions protect them.
mkdir -p secrets
chmod 700 secrets
for name in monitor operator plant grafana; do
  [ -s "secrets/$name" ] || head -c 24 /dev/urandom | base64 | tr '+/' '-_' > "secrets/$name"
done
for name in operator plant; do
  echo "$name:$(cat "secrets/$name")"
done > secrets/broker
echo "monitor:$(cat secrets/monitor)" > secrets/broker-monitor
for file in broker broker-monitor; do
  if command -v mosquitto_passwd > /dev/null; then
    mosquitto_passwd -U "secrets/$file"
  else
    docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD/secrets:/secrets" "$broker" mosquitto_passwd -U "/secrets/$file"
  fi
done
chmod 644 secrets/*
