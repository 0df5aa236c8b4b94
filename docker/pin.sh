#!/bin/sh
# Writes behind each image's tag the digest that the registry has for it now, in all files of this folder: from then on
# the tag can't bring another image. Run it again to take what a tag has meanwhile; `git diff` shows what changed.
set -eu
cd "$(dirname "$0")"
files="compose.yaml monitor.Dockerfile training.Dockerfile secrets.sh"

# shellcheck disable=SC2086  # names of files, separated by spaces
images=$(sed -nE 's/^(FROM |[[:space:]]*image: |broker=)([^@[:space:]]+)(@sha256:[0-9a-f]+)?( AS .*)?$/\2/p' $files |
  grep -v '^sensor-' | sort -u)
for image in $images; do
  digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$image")
  if ! echo "$digest" | grep -Eqx 'sha256:[0-9a-f]{64}'; then
    echo "pin.sh: $image has the digest '$digest'; expected sha256:..." >&2
    exit 1
  fi
  # shellcheck disable=SC2086
  sed -i -E "s#(FROM |image: |broker=)$image(@sha256:[0-9a-f]+)?( AS .*)?\$#\\1$image@$digest\\3#" $files
  echo "$image@$digest"
done
