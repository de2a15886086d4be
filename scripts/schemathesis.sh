#!/bin/sh
# Fuzzes the built server from its OpenAPI document with schemathesis (https://schemathesis.readthedocs.io), a tool in
# Python that nothing else needs:
#
#   pip install schemathesis && npm run build && sh scripts/schemathesis.sh [MAX_EXAMPLES]
#
# Without the tool it says that it skips and ends with 0.
set -eu
cd "$(dirname "$0")/.."
examples="${1:-50}"
tool="${SCHEMATHESIS:-schemathesis}"
if ! command -v "$tool" >/dev/null 2>&1; then
  echo "skipped: schemathesis is not installed (pip install schemathesis, or name it in SCHEMATHESIS)"
  exit 0
fi

folder="$(mktemp -d)"
: >"$folder/out"
PROTOLINE_MIRROR="" PROTOLINE_CACHE="$folder/cache" node dist/cli/main.js --store memory: serve --port 0 --json \
  >"$folder/out" 2>"$folder/err" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
address=""
for _ in $(seq 100); do
  address="$(sed -n 's/.*"address":"\([^"]*\)".*/\1/p' "$folder/out")"
  [ -n "$address" ] && break
  sleep 0.2
done
if [ -z "$address" ]; then
  cat "$folder/err"
  exit 1
fi
curl -sf -X POST "$address/v1/galleries" -H 'content-type: application/json' -d '{"name": "line-1"}' >/dev/null

# In the folder, as the tool keeps its own notes where it runs.
(
  cd "$folder"
  "$tool" run "$address/openapi.json" --max-examples "$examples" --generation-deterministic \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance
)
curl -sf "$address/readyz" >/dev/null
