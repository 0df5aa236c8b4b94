#!/bin/sh
# Makes the files in docker/secrets that compose.yaml uses: a password for each login, and the broker's password
# file with their hashes. Existing passwords are kept; for a new password, remove its file first.
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
for name in monitor operator plant; do
  echo "$name:$(cat "secrets/$name")"
done > secrets/broker
if command -v mosquitto_passwd > /dev/null; then
  mosquitto_passwd -U secrets/broker
else
  docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD/secrets:/secrets" "$broker" mosquitto_passwd -U /secrets/broker
fi
chmod 644 secrets/*
