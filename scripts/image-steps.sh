#!/bin/sh
# Runs the steps of deploy/Dockerfile on the last commit without a container engine, in a temporary folder: install,
# build, install what runs alone, start as another user where it may, ask /readyz, end by SIGTERM.
#
#   sh scripts/image-steps.sh          NODE=/path/to/node runs the server with that Node
set -eu
cd "$(dirname "$0")/.."
node="${NODE:-node}"
folder="$(mktemp -d)"
server=""
finish() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT

mkdir "$folder/build" "$folder/app" "$folder/data"
# What .dockerignore lets in.
git archive HEAD package.json package-lock.json tsconfig.json tsconfig.build.json tsconfig.browser.json src \
  web/console scripts/build-console.ts LICENSE |
  tar -x -C "$folder/build"
find "$folder/build/src" -name '*.test.ts' -delete
(cd "$folder/build" && npm ci --ignore-scripts --silent && npm run build --silent && npm run build:console --silent)
cp "$folder/build/package.json" "$folder/build/package-lock.json" "$folder/app"
(
  cd "$folder/app"
  npm ci --omit=dev --ignore-scripts --silent
  find node_modules/onnxruntime-node/bin -mindepth 2 -maxdepth 2 ! -name linux -exec rm -r {} +
)
mv "$folder/build/dist" "$folder/app/dist"
echo "installed: $(du -sm "$folder/app" | cut -f1) MB with $("$node" --version)"

cd "$folder/data"
run() {
  env -i PATH="$PATH" HOME="$folder/data" NODE_ENV=production PROTOLINE_STORE="sqlite:$folder/data/protoline.db" \
    PROTOLINE_CACHE="$folder/data/cache" "$node" "$folder/app/dist/cli/main.js" "$@"
}
key="$(run keys create check --role viewer --quiet)"
env -i PATH="$PATH" HOME="$folder/data" NODE_ENV=production PROTOLINE_STORE="sqlite:$folder/data/protoline.db" \
  PROTOLINE_CACHE="$folder/data/cache" "$node" "$folder/app/dist/cli/main.js" \
  serve --host 0.0.0.0 --port 0 --log --audit "$folder/data/audit.jsonl" >"$folder/out" 2>&1 &
server=$!
address=""
for _ in $(seq 150); do
  address="$(sed -n 's/^Protoline listens on \(.*\)/\1/p' "$folder/out")"
  [ -n "$address" ] && curl -sf "$address/readyz" >/dev/null && break
  sleep 0.2
done
curl -sf "$address/readyz" || { cat "$folder/out"; exit 1; }
echo
curl -sf -H "authorization: Bearer $key" "$address/metrics" | grep '^protoline_store_up'
curl -sf "$address/" | grep '<title>'
kill -TERM "$server"
wait "$server" && echo "ended with 0"
server=""
