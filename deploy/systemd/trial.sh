#!/usr/bin/env bash
# trial.sh ARCHIVE: tries the unit under a real systemd, which runs as process 1 of namespaces of its own, on a small
# Debian: SUITE, by default this machine's own. It installs a release by the unit's own first lines, looks at what the
# process may do, and reloads, restarts, kills and stops the server under traffic. It needs root and mmdebstrap; ROOT
# names a Debian that is there already.
set -euo pipefail
archive=$(realpath "${1:?usage: trial.sh ARCHIVE}")
work=$(mktemp -d)
root=${ROOT:-$work/root}
group=/sys/fs/cgroup/unified
[ -d "$group" ] || group=/sys/fs/cgroup
group=$group/hexbid-trial
failed=0

fail() { echo "FAIL: $*" >&2; failed=$((failed + 1)); }

# inside runs a command on the small Debian.
inside() {
	nsenter -t "$(pgrep -P "$boot")" -m -p -u -i -n -C -r -w env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		HOME=/root LC_ALL=C.UTF-8 "$@"
}

end() {
	if [ -n "${boot:-}" ]; then
		inside systemctl poweroff || true
		tail --pid="$boot" -f /dev/null
		find "$group" -depth -type d -exec rmdir {} \; || true
	fi
	rm -rf "$work"
}
trap end EXIT

# await COMMAND...: waits until it succeeds, for two minutes at most.
await() {
	for _ in $(seq 600); do
		if "$@" >/dev/null 2>&1; then return; fi
		sleep 0.2
	done
	fail "waited in vain for: $*"
}

# The namespaces have a network of their own with nothing but loopback, and no device but those named here.
start_debian() {
	[ -n "${ROOT:-}" ] || mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus,openssl,perl \
		"${SUITE:-$(. /etc/os-release && echo "$VERSION_CODENAME")}" "$root"
	echo '127.0.0.1 localhost' >"$root/etc/hosts"
	rm -rf "$root"/var/log/journal/* # of an earlier trial
	mkdir -p "$group"
	# shellcheck disable=SC2016 # the inner shell expands
	(echo "$BASHPID" >"$group/cgroup.procs"; exec unshare --mount --pid --fork --uts --ipc --net --cgroup --kill-child \
		bash -ec 'mount --make-rprivate / && mount --bind "$0" "$0" && cd "$0"
		mount -t proc proc proc && mount -t sysfs -o ro sysfs sys && mount -t cgroup2 cgroup2 sys/fs/cgroup
		mount -t tmpfs -o mode=755 tmpfs run && mount -t tmpfs tmpfs tmp && mount -t tmpfs -o mode=755 tmpfs dev
		mkdir dev/pts dev/shm
		mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts && mount -t tmpfs -o mode=1777 tmpfs dev/shm
		for n in null zero full random urandom tty; do touch dev/$n && mount --bind /dev/$n dev/$n; done
		ln -s pts/ptmx dev/ptmx && ln -s /proc/self/fd dev/fd && chmod 1777 tmp && ip link set lo up
		mkdir -p old && pivot_root . old
		exec env -i container=trial PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . \
			sh -c "umount -l /old && exec /lib/systemd/systemd"' "$root") </dev/null >"$work/boot.log" 2>&1 &
	boot=$!
	await pgrep -P "$boot"
	await inside systemctl is-system-running
}

# certificate NAME DAYS makes a certificate for localhost and its key.
certificate() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$release/$1.key" -out "$work/request" \
		-subj /CN=localhost 2>/dev/null
	openssl x509 -req -in "$work/request" -CA "$release/AUTHORITIES.crt" -CAkey "$work/authority.key" -days "$2" \
		-out "$release/$1.crt" -extfile <(echo subjectAltName=DNS:localhost) 2>/dev/null
}

# unpack lays the release and the certificates down.
unpack() {
	release=$root/root/release
	inside systemctl stop hexbid 2>/dev/null || true # of an earlier trial
	rm -rf "$release" "$root/var/lib/hexbid" "$root/etc/hexbid"
	mkdir -p "$release"
	tar -xzf "$archive" -C "$release" --strip-components=1
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/authority.key" \
		-out "$release/AUTHORITIES.crt" -days 2 -subj /CN=trial 2>/dev/null
	certificate tls 2
	certificate next 3
}

# install_unit runs the first lines of the unit.
install_unit() {
	sed -nE 's/^#   (.*)/\1/p' "$release/deploy/systemd/hexbid.service" >"$root/root/install.sh"
	[ "$(wc -l <"$root/root/install.sh")" -ge 6 ] || fail "the unit does not say how to install it"
	inside bash -exc 'cd /root/release && . /root/install.sh' || fail "the unit does not install"
	[ "$(inside systemctl is-active hexbid)" = active ] || fail "the unit is not active"
	[[ "$(inside hexbid whoami)" == *users/operator* ]] || fail "the operator is not logged in"
}

# look runs a probe with the unit's own settings, and compares what it may do.
look() {
	cat >"$root/usr/local/bin/probe" <<-'PROBE'
		#!/bin/bash
		for d in / /boot /dev /dev/mqueue /dev/shm /etc /etc/hexbid /home /opt /root /run /run/lock /srv /sys /tmp \
			/usr/local/bin /var /var/cache /var/lib /var/lib/hexbid /var/log /var/tmp; do
			if said=$(touch "$d/trial" 2>&1); then
				rm -f "$d/trial"
				echo "writes $d"
			elif [[ $said != *"Read-only file system" ]]; then
				echo "is kept from $d by its mode alone"
			fi
		done
		grep -E '^(CapBnd|CapEff|NoNewPrivs|Seccomp):' /proc/self/status | tr -s '\t ' ' '
		[ -r /etc/hexbid/tls/tls.key ] && echo "reads its key"
		[ -e /proc/1 ] && echo "sees others' processes"
		perl -e 'use Socket; socket(my $s, 17, SOCK_RAW, 0) and print "makes packets\n";
			socket(my $n, 16, SOCK_RAW, 0) and print "talks to the kernel\n";
			print "has memory that it may write and run\n" if syscall(9, 0, 4096, 7, 0x22, -1, 0) != -1;'
		unshare -U true 2>/dev/null && echo "makes namespaces"
		chmod u+s /var/lib/hexbid/operator.key 2>/dev/null && echo "makes set-uid files"
		true
	PROBE
	chmod 755 "$root/usr/local/bin/probe"
	sed -e 's,^ExecStart=.*,ExecStart=/usr/local/bin/probe,' -e 's/^Type=notify/Type=oneshot/' -e '/^Restart/d' \
		-e '/^ExecReload/d' "$root/etc/systemd/system/hexbid.service" >"$root/etc/systemd/system/probe.service"
	inside systemctl daemon-reload
	inside systemctl start probe || fail "the probe does not run"
	inside journalctl -o cat _SYSTEMD_UNIT=probe.service | LC_ALL=C sort >"$work/may"
	diff - "$work/may" <<-'MAY' || fail "the process may do something else"
		CapBnd: 0000000000000000
		CapEff: 0000000000000000
		NoNewPrivs: 1
		Seccomp: 2
		is kept from /home by its mode alone
		is kept from /root by its mode alone
		reads its key
		writes /tmp
		writes /var/lib/hexbid
		writes /var/tmp
	MAY
	rm "$root/etc/systemd/system/probe.service"
}

# ends prints when the certificate ends that the server shows.
ends() {
	inside sh -c 'openssl s_client -connect localhost:7602 </dev/null 2>/dev/null | openssl x509 -noout -enddate'
}

# press reloads, restarts, kills and stops the server while people search and click.
press() {
	inside sh -c 'echo "demo: true" >>/etc/hexbid/hexbid.yaml; systemctl restart hexbid'
	inside hexbid simulate load --rate 100 --duration 40s --events --metrics none --out /root/run \
		>"$work/load.log" 2>&1 &
	local load=$! before main
	before=$(ends)
	inside install -m 640 -g hexbid /root/release/next.crt /root/release/next.key /etc/hexbid/tls/
	inside sh -c 'cd /etc/hexbid/tls && mv next.key tls.key && mv next.crt tls.crt && systemctl reload hexbid'
	changed() { [ "$(ends)" != "$before" ]; }
	await changed
	before=$(ends)
	inside sh -c 'echo nothing >/etc/hexbid/tls/tls.crt; systemctl reload hexbid'
	await inside sh -c 'journalctl -u hexbid -o cat | grep -q "do not load; the old ones stay"'
	[ "$(ends)" = "$before" ] || fail "a certificate that does not load took effect"
	inside install -m 640 -g hexbid /root/release/next.crt /etc/hexbid/tls/tls.crt
	inside systemctl restart hexbid || fail "the unit does not restart"
	main=$(inside systemctl show -P MainPID hexbid)
	inside kill -9 "$main"
	again() { [ "$(inside systemctl show -P MainPID hexbid)" != "$main" ] && inside systemctl is-active hexbid; }
	await again
	[ "$(inside systemctl show -P NRestarts hexbid)" = 1 ] || fail "systemd did not start the killed server once"
	inside systemctl stop hexbid
	[ "$(inside systemctl show -P Result hexbid)" = success ] || fail "the stop did not succeed"
	inside systemctl start hexbid
	wait "$load" || true
	inside systemctl stop hexbid
}

# judge compares the ledger with what people were told, and searches the journal for secrets.
judge() {
	local told kept
	inside hexbid ledger verify --data /var/lib/hexbid | tee "$work/verified" | tail -1
	grep -q '^OK' "$work/verified" || fail "the ledger does not verify"
	told=$(sed -nE 's/^Events:.* charged ([0-9.]+);.*/\1/p' "$work/load.log")
	kept=$(sed -nE 's/.* charges of ([0-9.]+),.*/\1/p' "$work/verified")
	echo "people were told of charges of ${told:-nothing}, the ledger has ${kept:-nothing}"
	awk -v told="$told" -v kept="$kept" 'BEGIN { exit !(told > 0 && kept >= told) }' || fail "the ledger lacks charges"
	if inside journalctl -o cat | grep -E 'hxb_|PRIVATE KEY'; then fail "the journal holds a secret"; fi
}

start_debian
unpack
install_unit
look
press
judge
echo "$failed failed"
[ "$failed" = 0 ]
