#!/usr/bin/env zsh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# offered.zsh DIRECTORY LINE: print what zsh, with the completions in DIRECTORY, offers at the
# end of LINE. It offers only to who types, so a shell on a pseudo-terminal gets the line and a
# tab; in it, compadd, which adds the matches, also writes them to a file, except with one of
# the options by which it adds none.

zmodload zsh/zpty
export OFFERED=$(mktemp)
zpty shell zsh -f -i
zpty -w shell "PS1=; fpath=(${(q)1} \$fpath); autoload -Uz compinit; compinit -D -u
compadd() {
	local -a found
	[[ \${@[1,(i)(-|--)]} == *-[OAD]\ * ]] || {
		builtin compadd -A found \"\$@\"
		print -rl -- \$found >>\$OFFERED
	}
	builtin compadd \"\$@\"
}
offer() { zle complete-word; print -r -- '(end)' >>\$OFFERED }
zle -N offer; bindkey '^I' offer"
zpty -w -n shell $2$'\t'
for ((i = 0; i < 200; i++)); do
	grep -q '^(end)$' $OFFERED && break
	sleep 0.1
done
grep -vx -e '(end)' -e '' $OFFERED | sort -u
zpty -d shell
rm $OFFERED
