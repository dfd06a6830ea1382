#!/usr/bin/env bash
# release.sh FOLDER: builds the release archives, for each architecture that a C compiler is here for, with a software
# bill of materials, the licences of everything in it and check sums. The same commit gives the same bytes, whatever the
# folder, the clock and the user. VERSION names the release; SOURCE_DATE_EPOCH sets its time, by default the commit's.
set -euo pipefail
out=$(mkdir -p "${1:?usage: release.sh FOLDER}" && cd "$1" && pwd)
cd "$(dirname "$0")/.."
sbom=${CYCLONEDX:-bin/cyclonedx-gomod}
version=${VERSION:-$(git describe --tags --always --dirty)}
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export LC_ALL=C TZ=UTC CGO_ENABLED=1 GOOS=linux GOFLAGS="-trimpath -buildvcs=false -mod=readonly"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# licences MODULE-LIST FOLDER copies the licence of each module, and fails for one that has none.
licences() {
	local module dir found
	while read -r module; do
		dir=$(go list -m -f '{{.Dir}}' "$module")
		found=$(find "$dir" -maxdepth 1 -type f \( -iname 'licen[cs]e*' -o -iname 'copying*' -o -iname 'notice*' -o -iname 'patents*' \))
		[ -n "$found" ] || { echo "$module has no licence" >&2; return 1; }
		mkdir -p "$2/$module"
		while read -r file; do install -m 644 "$file" "$2/$module/"; done <<<"$found"
	done <"$1"
	mkdir -p "$2/go"
	install -m 644 "$(go env GOROOT)/LICENSE" "$2/go/"
}

# release ARCH COMPILER makes one archive.
release() {
	local name="hexbid-$version-linux-$1" dir
	dir="$work/$name"
	mkdir -p "$dir/licences"
	# A static program needs no C library of the machine's, and runs in an image with nothing else in it.
	GOARCH=$1 CC=$2 go build -tags netgo,osusergo -o "$dir/hexbid" -ldflags \
		"-s -w -buildid= -linkmode external -extldflags '-static' -X main.released=$version" ./cmd/hexbid
	go version -m "$dir/hexbid" | awk '$1 == "dep" { print $2 }' | sort >"$work/modules"
	licences "$work/modules" "$dir/licences"
	install -m 644 LICENSE NOTICE README.md CHANGELOG.md "$dir/"
	cp -r docs "$dir/docs"
	mkdir "$dir/deploy"
	cp -r deploy/systemd deploy/container deploy/kubernetes deploy/prometheus deploy/grafana "$dir/deploy/"
	"$sbom" bin -json -noserial -std -version "$version" -output "$work/sbom" "$dir/hexbid"
	# The bill says when it was made and by which file: neither belongs to the release.
	sed -E -e "s/(\"timestamp\": )\"[^\"]*\"/\1\"$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)\"/" \
		-e '/^    "tools": \[/,/^    \]/{/"hashes": \[/,/\]/d}' "$work/sbom" >"$out/$name.cdx.json"
	cp "$out/$name.cdx.json" "$dir/sbom.cdx.json"
	chmod -R u=rwX,go=rX "$dir"
	tar -C "$work" --sort=name --format=gnu --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
		-cf - "$name" | gzip -9n >"$out/$name.tar.gz"
	echo "$out/$name.tar.gz: $(wc -l <"$work/modules") modules"
}

# compiler MACHINE [OWN] prints a C compiler that makes programs for a machine: the one that the caller names, the
# machine's own, or a cross compiler.
compiler() {
	local of
	for of in ${2:-gcc "$1-linux-gnu-gcc"}; do
		if command -v "$of" >/dev/null && "$of" -dumpmachine | grep -q "^$1-"; then
			echo "$of"
			return
		fi
	done
	return 1
}

made=0 missing=()
while read -r arch machine variable package; do
	if cc=$(compiler "$machine" "${!variable:-}"); then
		release "$arch" "$cc"
		made=$((made + 1))
	else
		missing+=("linux/$arch is left out: no C compiler for $machine is here. Debian has one in the package $package; \
or name yours in $variable.")
	fi
done <<<"amd64 x86_64 CC_AMD64 gcc-x86-64-linux-gnu
arm64 aarch64 CC_ARM64 gcc-aarch64-linux-gnu"
if [ "$made" -gt 0 ]; then
	(cd "$out" && sha256sum hexbid-"$version"-*.tar.gz hexbid-"$version"-*.cdx.json >SHA256SUMS)
fi
[ ${#missing[@]} -eq 0 ] || printf '%s\n' "${missing[@]}" >&2
[ "$made" -gt 0 ]
