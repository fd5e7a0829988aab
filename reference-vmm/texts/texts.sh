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

# What a shell offers for the last word of a line.
offered_by_bash() {
	compopt() { :; }
	# shellcheck source=/dev/null
	. "$tree/${files[bash]}"
	IFS=' ' read -r -a COMP_WORDS <<<"$1"
	[[ $1 != *' ' ]] || COMP_WORDS+=("")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	_reference_vmm
	printf '%s\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"}
}

offered_by_zsh() {
	"$tree/texts/offered.zsh" "$tree/completions" "$1"
}

offered_by_fish() {
	fish --no-config -c "source '$tree/${files[fish]}'; complete -C '$1'" | cut -f 1
}

# offers SHELL LINE WANTED: in any order
offers() {
	local got
	got=$("offered_by_$1" "$2" | sort | tr '\n' ' ')
	[ "${got% }" = "$3" ] || {
		echo "'$2': got '$got', want '$3'"
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

# What is completed, the line, what is offered: the same in all shells.
lines=(
	"commands|reference-vmm st|stats stop"
	"options|reference-vmm run --d|--disk --dry-run"
	"choices|reference-vmm run --boot-protocol l|linux32 linux64"
	"files|reference-vmm run -k meson.b|meson.build"
	"machine files|reference-vmm run |demo"
	"options of commands|reference-vmm stop --t|--timeout"
	"nothing where there is nothing|reference-vmm run --memory 1|"
)

echo "1..$((6 + 3 * ${#lines[@]}))"
for name in man bash zsh fish; do
	check "the $name text is that of the options (else: ninja vmm-texts-write)" is_current "$name"
done
if command -v groff >/dev/null; then
	check "the manual page has no mistakes" man_is_clean
else
	skip "the manual page has no mistakes" groff
fi

machines=$(mktemp -d)
trap 'rm -rf "$machines"' EXIT
touch "$machines/demo.toml" "$machines/notes.txt"
export VMCONF_DIR=$machines
cd "$tree" # a file to complete
for shell in bash zsh fish; do
	for line in "${lines[@]}"; do
		IFS='|' read -r name words wanted <<<"$line"
		if command -v $shell >/dev/null; then
			check "$shell completes $name" offers $shell "$words" "$wanted"
		else
			skip "$shell completes $name" $shell
		fi
	done
done
touch "$machines/\$(id).toml"
check "bash offers no file's name that it would run" offers bash "reference-vmm run " demo
exit $failed
