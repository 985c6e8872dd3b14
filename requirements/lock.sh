#!/usr/bin/env bash
# Rewrites every lock: hash-pinned, no addresses. One resolution for all (dev.txt), the rest are constrained to it.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
    local output=$1
    shift
    uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
        --no-emit-package quittance-shared --no-header --no-annotate -o "$output" "$@"
}
projects=(shared/pyproject.toml services/*/pyproject.toml simulators/pyproject.toml client/pyproject.toml)
compile requirements/dev.txt "${projects[@]}" requirements/demo.in requirements/dev.in
compile requirements/demo.txt -c requirements/dev.txt "${projects[@]}" requirements/demo.in
for service in services/*/; do
    compile "${service}requirements.txt" -c requirements/dev.txt "${service}pyproject.toml"
done
