#!/bin/bash
# Gets the files again with npm, whatever registry it is set to; fails when a digest differs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
fetched=$(mktemp -d)
trap 'rm -rf "$fetched"' EXIT
cd "$fetched"
npm pack --silent barcode-detector@3.2.2 zxing-wasm@3.1.3 >/dev/null
for archive in *.tgz; do
	mkdir "${archive%.tgz}"
	tar -xzf "$archive" -C "${archive%.tgz}" --strip-components=1
done
cp barcode-detector-*/dist/es/{ponyfill,zxing-exported}.js "$here/"
cp zxing-wasm-*/dist/reader/zxing_reader.wasm "$here/"
cp barcode-detector-*/LICENSE "$here/LICENSE.barcode-detector"
cp zxing-wasm-*/LICENSE "$here/LICENSE.zxing-wasm"
cd "$here"
sha256sum --check --quiet SHA256SUMS
