#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# texts.sh write|compare VMM-TEXTS REFERENCE-VMM-DIRECTORY
#
# Write the manual page and the completions, or compare those in the tree with what the
# tables of options say now and try them in the programs that read them (TAP).

set -euo pipefail

what=$1 texts=$2 tree=$3
declare -A files=([man]=man/reference-vmm.1 [bash]=completions/reference-vmm.bash
	[zsh]=completions/_reference-vmm [fish]=completions/reference-vmm.fish)

if [ "$what" = write ]; then
	for name in "${!files[@]}"; do
		"$texts" "$name" >"$tree/${files[$name]}"
	done
	exit 0
fi

number=0 failed=0

# check NAME COMMAND...: one sub-test
check() {
	local name=$1 output
	shift
	number=$((number + 1))
	if output=$("$@" 2>&1); then
		echo "ok $number - $name"
	else
		failed=1
		echo "not ok $number - $name"
		sed 's/^/# /' <<<"$output"
	fi
}

skip() {
	number=$((number + 1))
	echo "ok $number - $1 # SKIP no $2"
}

is_current() {
	"$texts" "$1" | diff -u "$tree/${files[$1]}" -
}

# complete EXPECTED WORD...: what bash would offer for the last word
complete_in_bash() {
	local expected=$1 got
	shift
	got=$(
		compopt() { :; }
		# shellcheck source=/dev/null
		. "$tree/${files[bash]}"
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_reference_vmm
		echo "${#COMPREPLY[@]}: ${COMPREPLY[*]}"
	)
	[ "$got" = "$expected" ] || {
		echo "'$*': got '$got', want '$expected'"
		return 1
	}
}

man_is_clean() {
	local output
	output=$(groff -man -Tutf8 -ww -z "$tree/${files[man]}" 2>&1) && [ -z "$output" ] || {
		echo "$output"
		return 1
	}
}

echo 1..14
for name in man bash zsh fish; do
	check "the $name text is that of the options (else: ninja vmm-texts-write)" is_current "$name"
done
check "bash has nothing to say" complete_in_bash "0: " reference-vmm run --memory 1
check "bash completes commands" complete_in_bash "2: stop stats" reference-vmm st
check "bash completes options" complete_in_bash "2: --disk --dry-run" reference-vmm run --d
check "bash completes choices" complete_in_bash "2: linux64 linux32" \
	reference-vmm run --boot-protocol l
check "bash completes files" complete_in_bash "1: $tree/man" reference-vmm run -k "$tree/ma"
check "bash completes options of commands" complete_in_bash "1: --timeout" reference-vmm stop --t

machines=$(mktemp -d)
trap 'rm -rf "$machines"' EXIT
touch "$machines/demo.toml" "$machines/notes.txt" "$machines/\$(id).toml"
VMCONF_DIR=$machines check "bash completes machine files" complete_in_bash "1: demo" \
	reference-vmm run ""

if command -v groff >/dev/null; then
	check "the manual page has no mistakes" man_is_clean
else
	skip "the manual page has no mistakes" groff
fi
for shell in zsh fish; do
	if command -v $shell >/dev/null; then
		check "$shell reads its completions" $shell -n "$tree/${files[$shell]}"
	else
		skip "$shell reads its completions" $shell
	fi
done
exit $failed
