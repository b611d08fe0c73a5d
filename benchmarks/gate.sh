#!/bin/bash
# SPDX-License-Identifier: MIT
# gate.sh VMLINUX MODULES_DIR [RUNS]: CPU time (user + system) of the gate, of its second run from the cache, and of one
# `pahole -J` over the same files, in alternation; and their ratio. The bars: 0.35 of pahole's, 2 s for the second run.
set -eu
vmlinux=$1 modules=$2 runs=${3:-3} python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

gate() { "$python" -m btfcheck gate "$vmlinux" "$modules" --no-probe -j1 --cache "$work/cache" >/dev/null; }
encode() {
	pahole -J -j1 --btf_gen_floats --lang_exclude=rust --btf_encode_detached="$work/btf" "$vmlinux"
	find "$modules" -name '*.ko' | while read -r file; do
		rm -f "$work/btf"
		pahole -J -j1 --btf_gen_floats --lang_exclude=rust --btf_base "$vmlinux" \
			--btf_encode_detached="$work/btf" "$file"
	done
}
# measure NAME COMMAND: seconds of CPU into the variable NAME.
measure() {
	local name=$1 seconds
	shift
	TIMEFORMAT="%U %S"
	seconds=$({ time "$@" 2>/dev/null; } 2>&1 | awk 'END { printf "%.1f", $1 + $2 }')
	printf -v "$name" %s "$seconds"
}

for run in $(seq "$runs"); do
	rm -rf "$work/cache"
	measure first gate
	measure second gate
	measure pahole encode
	awk -v r="$run" -v a="$first" -v b="$second" -v c="$pahole" \
		'BEGIN { printf "run %d: gate %.1f s, from the cache %.1f s, pahole %.1f s: ratio %.2f\n", r, a, b, c, a / c }'
done
