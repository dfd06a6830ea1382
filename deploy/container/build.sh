#!/usr/bin/env bash
# build.sh [ARCHIVE]: makes the image hexbid:VERSION from a release's archive, by default the one in bin/release, with
# buildah, podman or docker, whichever is there. It needs no base image and no network.
set -euo pipefail
cd "$(dirname "$0")/../.."
archive=${1:-$(find bin/release -name "hexbid-*-linux-$(go env GOARCH).tar.gz" 2>/dev/null | head -1)}
[ -f "$archive" ] || { echo "there is no archive: make release, or give one" >&2; exit 1; }
authorities=${AUTHORITIES:-/etc/ssl/certs/ca-certificates.crt}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -m 700 "$work/data"
tar -xzf "$archive" -C "$work" --strip-components=1 --wildcards '*/hexbid'
cp "$authorities" "$work/ca-certificates.crt"
chmod 644 "$work/ca-certificates.crt"
version=$(basename "$archive" | sed -E 's/^hexbid-(.*)-linux-[a-z0-9]+\.tar\.gz$/\1/')
args=(-f deploy/container/Containerfile --target prebuilt -t "hexbid:$version" "$work")
if command -v buildah >/dev/null; then
	buildah build --format docker "${args[@]}" # OCI's format has no health check
elif command -v podman >/dev/null; then
	podman build --format docker "${args[@]}"
else
	docker build "${args[@]}"
fi
