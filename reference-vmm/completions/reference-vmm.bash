# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Written by vmm-texts from the table of options: do not edit.

_reference_vmm() {
	local current=${COMP_WORDS[COMP_CWORD]} words=
	local before=${COMP_WORDS[1]}:${COMP_WORDS[COMP_CWORD - 1]}

	if [ "$COMP_CWORD" -eq 1 ]; then
		before=start
	fi
	case $before in
	start)
		words=$(compgen -W 'run list info console pause resume stop kill balloon resize-disk stats --help --version' -- "$current") ;;
	run:--config)
		compopt -o filenames
		words=$(compgen -f -- "$current") ;;
	run:--kernel | run:-k)
		compopt -o filenames
		words=$(compgen -f -- "$current") ;;
	run:--initrd | run:-i)
		compopt -o filenames
		words=$(compgen -f -- "$current") ;;
	run:--cmdline | run:-p)
		words= ;;
	run:--memory | run:-m)
		words= ;;
	run:--cpus | run:-c)
		words= ;;
	run:--disk | run:-d)
		compopt -o filenames
		words=$(compgen -f -- "$current") ;;
	run:--net)
		words= ;;
	run:--vsock)
		words= ;;
	run:--console)
		words=$(compgen -W 'serial virtio none' -- "$current") ;;
	run:--name | run:-n)
		words= ;;
	run:--boot-protocol)
		words=$(compgen -W 'linux64 linux32 pvh' -- "$current") ;;
	run:--kvm)
		compopt -o filenames
		words=$(compgen -f -- "$current") ;;
	run:--trace-exits)
		compopt -o filenames
		words=$(compgen -f -- "$current") ;;
	*)
		_reference_vmm_word ;;
	esac
	COMPREPLY=()
	[ -z "$words" ] || mapfile -t COMPREPLY <<<"$words"
}

_reference_vmm_word() {
	case ${COMP_WORDS[1]}:$current in
	run:-*)
		words=$(compgen -W '--config --kernel --initrd --cmdline --memory --cpus --disk --net --vsock --console --rng --balloon --name --boot-protocol --kvm --force --background --trace-exits --dry-run --json --verbose --help' -- "$current") ;;
	run:*)
		words=$(compgen -W "$(cd "${VMCONF_DIR:-$HOME/vm}" 2>/dev/null && ls |
			sed -En 's/^([A-Za-z0-9_][A-Za-z0-9_.-]*)\.(toml|json)$/\1/p')" -- "$current") ;;
	list:-*)
		words=$(compgen -W '--json --help' -- "$current") ;;
	info:-*)
		words=$(compgen -W '--json --help' -- "$current") ;;
	info:*)
		words=$(compgen -W "$(reference-vmm list 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$current") ;;
	console:-*)
		words=$(compgen -W '--help' -- "$current") ;;
	console:*)
		words=$(compgen -W "$(reference-vmm list 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$current") ;;
	pause:-*)
		words=$(compgen -W '--json --help' -- "$current") ;;
	pause:*)
		words=$(compgen -W "$(reference-vmm list 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$current") ;;
	resume:-*)
		words=$(compgen -W '--json --help' -- "$current") ;;
	resume:*)
		words=$(compgen -W "$(reference-vmm list 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$current") ;;
	stop:-*)
		words=$(compgen -W '--json --help --timeout' -- "$current") ;;
	stop:*)
		words=$(compgen -W "$(reference-vmm list 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$current") ;;
	kill:-*)
		words=$(compgen -W '--json --help' -- "$current") ;;
	kill:*)
		words=$(compgen -W "$(reference-vmm list 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$current") ;;
	balloon:-*)
		words=$(compgen -W '--json --help' -- "$current") ;;
	balloon:*)
		words=$(compgen -W "$(reference-vmm list 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$current") ;;
	resize-disk:-*)
		words=$(compgen -W '--json --help' -- "$current") ;;
	resize-disk:*)
		words=$(compgen -W "$(reference-vmm list 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$current") ;;
	stats:-*)
		words=$(compgen -W '--json --help' -- "$current") ;;
	stats:*)
		words=$(compgen -W "$(reference-vmm list 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$current") ;;
	esac
}

complete -F _reference_vmm reference-vmm
