#!/usr/bin/env bash
# Installs the real backends that the hostile-path tests put behind Tollgate, into target/backends.
# Does nothing where they are installed already. Source it for the function, or run it.

install_backends() (
  set -euo pipefail
  here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
  into="$here/../../target/backends"
  mkdir -p "$into"

  wanted="$here/starlette/requirements.txt"
  if command -v python3 >/dev/null && ! cmp -s "$wanted" "$into/venv/installed.txt"; then
    python3 -m venv "$into/venv"
    "$into/venv/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$into/venv/installed.txt"
  fi

  wanted="$here/express/package.json"
  if command -v npm >/dev/null && ! cmp -s "$wanted" "$into/node_modules/installed.json"; then
    cp "$wanted" "$into/package.json"
    npm install --prefix "$into" --silent --no-audit --no-fund --no-package-lock
    cp "$wanted" "$into/node_modules/installed.json"
  fi
)

if [[ "${BASH_SOURCE[0]}" == "$0" ]]; then
  install_backends
fi
