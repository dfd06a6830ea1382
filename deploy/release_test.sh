#!/usr/bin/env bash
# release_test.sh builds the release of this commit twice, from clones in different folders, with caches of their own,
# under different clocks' dates and file modes, and compares the bytes. It fails when anything differs.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CYCLONEDX=$PWD/bin/cyclonedx-gomod
build() { # NAME UMASK
	git clone -q . "$work/$1/a clone of $1"
	(umask "$2" && cd "$work/$1/a clone of $1" && GOCACHE="$work/$1/cache" deploy/release.sh "$work/$1/out")
	rm -rf "$work/$1/cache"
}
build one 022
build two 077
diff -r "$work/one/out" "$work/two/out"
if command -v python3 >/dev/null; then
	for bill in "$work"/one/out/*.cdx.json; do python3 -m json.tool "$bill" >/dev/null; done
fi
(cd "$work/one/out" && sha256sum -c --quiet SHA256SUMS && cat SHA256SUMS)
echo "both builds have the same bytes"
