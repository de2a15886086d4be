#!/usr/bin/env bash
# Makes the Python environments that bench/train compares with: FOLDER/torch and FOLDER/paddle.
#
#     scripts/peer-environments.sh [FOLDER]
#
# FOLDER is $PROTOLINE_PEERS or else ~/.cache/protoline/peers. A build of torch for CPUs alone is a tenth of the download:
# where pip's own settings know a place for it, that one is taken. What is there already is left as it is.
set -euo pipefail

folder=${1:-${PROTOLINE_PEERS:-$HOME/.cache/protoline/peers}}

if ! python3 -c 'import sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
  echo "Skipped: no Python 3.10 or newer with venv here, so bench/train will measure Protoline alone."
  exit 0
fi

make_environment() {
  local name=$1
  shift
  if "$folder/$name/bin/python" -c "import $name" 2>/dev/null; then
    echo "$name: there already"
    return
  fi
  python3 -m venv "$folder/$name"
  "$folder/$name/bin/python" -m pip install --quiet "$@"
  "$folder/$name/bin/python" -c "import $name; print('$name', $name.__version__)"
}

make_environment torch torch==2.13.0 numpy
make_environment paddle paddlepaddle==3.3.1 numpy setuptools
echo "Ready in $folder"
