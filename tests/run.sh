#!/usr/bin/env bash
# Runs the tests with what this machine has. What it lacks is said aloud, and is an error with REQUIRE_ALL=1.
set -euo pipefail
cd "$(dirname "$0")/.."
jars=tests/broker/kafka/jars
without=()

# lacking WHAT FOLDER: leave the tests of a folder out, or stop.
lacking() {
    if [[ "${REQUIRE_ALL:-}" == 1 ]]; then
        echo "required here, and missing: $1" >&2
        exit 1
    fi
    echo "NOT RUN for want of $1: $2"
    without+=("--ignore=$2")
}

has() {
    local name
    for name in "$@"; do
        if command -v "$name" >/dev/null; then return 0; fi
    done
    return 1
}

export TEST_BROKER=embedded
if has java && has mvn; then
    if [[ -e $jars/.complete ]]; then
        TEST_BROKER=apache
    elif mvn -q -B -f tests/broker/kafka/pom.xml dependency:copy-dependencies; then
        touch $jars/.complete
        TEST_BROKER=apache
    fi
fi
if [[ $TEST_BROKER == embedded ]]; then
    lacking "Java 17 and Maven, or their downloads" tests/broker/test_apache_kafka.py
fi
# A certified OpenID provider in place of FranceConnect; its packages are installed when the lock is newer.
packages=tests/oidc/node_modules
if ! { has node && has npm && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' \
    && { [[ $packages/.package-lock.json -nt tests/oidc/package-lock.json ]] \
        || npm ci --silent --prefix tests/oidc >/dev/null; }; }; then
    lacking "Node 20 and npm, or their downloads" tests/oidc
fi
has chromium chromium-browser google-chrome || lacking "Chromium" tests/journeys/browser

echo "broker of the tests: $TEST_BROKER"
exec python -m pytest -q "${without[@]}" "$@"
