#!/bin/bash
# SPDX-License-Identifier: MIT
# gate.sh VMLINUX MODULES_DIR: CPU time (user + system) of the gate, of its second run from the cache, and of one
# `pahole -J` over the same files. The bars: 0.35 of pahole's, and 2 s for the second run.
#
# Debian's linux-image-6.12.117+deb12-cloud-amd64-dbg (vmlinux and 1,138 modules), 2 cores, pahole 1.24:
#     gate 34.3 s, from the cache 0.4 s, pahole 101.6 s: ratio 0.34
set -eu
vmlinux=$1 modules=$2 python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

gate() { "$python" -m btfcheck gate "$vmlinux" "$modules" --no-probe --cache "$work/cache" >/dev/null; }
encode() {
	pahole -J --btf_gen_floats --lang_exclude=rust --btf_encode_detached="$work/btf" "$vmlinux"
	find "$modules" -name '*.ko' | while read -r file; do
		rm -f "$work/btf"
		pahole -J --btf_gen_floats --lang_exclude=rust --btf_base "$vmlinux" \
			--btf_encode_detached="$work/btf" "$file"
	done
}
measure() { echo "$1:"; shift; (time -p "$@") 2>&1 | tail -n 2; }

measure "gate" gate
measure "gate, from the cache" gate
measure "pahole -J" encode
