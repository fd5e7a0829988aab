# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Written by vmm-texts from the table of options: do not edit.

function __reference_vmm_running
	reference-vmm list 2>/dev/null | awk 'NR > 1 { print $1 }'
end

function __reference_vmm_files
	set -l dir ~/vm
	set -q VMCONF_DIR; and set dir $VMCONF_DIR
	for file in $dir/*.toml $dir/*.json
		string replace -r '\.(toml|json)$' '' (basename $file)
	end
end

complete -c reference-vmm -f
complete -c reference-vmm -l help -s h -d 'print help'
complete -c reference-vmm -n __fish_use_subcommand -l version
complete -c reference-vmm -n __fish_use_subcommand -a run -d 'boot a virtual machine'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -a '(__reference_vmm_files)'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l config -r -F -d 'machine file, TOML or JSON; options override it'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l kernel -s k -r -F -d 'kernel to boot: bzImage, ELF vmlinux, arm64 Image (required)'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l initrd -s i -r -F -d 'initial RAM disk'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l cmdline -s p -x -d 'kernel command line (default: console=ttyS0)'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l memory -s m -x -d 'guest memory: 512M, 2G; a bare number is MiB (default: 512M)'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l cpus -s c -x -d 'number of vCPUs (default: 1)'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l disk -s d -r -F -d 'disk image or block device; may be repeated'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l net -x -d 'network interface; may be repeated'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l vsock -x -d 'sockets between guest and host'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l console -x -a 'serial virtio none' -d 'which console has the input (default: serial); both are seen'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l rng -d 'give the guest random numbers (virtio)'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l balloon -d 'let the guest give memory back (virtio)'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l name -s n -x -d 'be controlled by that name: see list, info, stop'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l boot-protocol -x -a 'linux64 linux32 pvh' -d 'entry of the kernel (default: linux64)'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l kvm -r -F -d 'KVM device (default: /dev/kvm)'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l force -d 'run on a software KVM, too: bare-metal kernels may work there'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l background -d 'return once the guest runs: see console, stop (needs a name)'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l trace-exits -r -F -d 'write a line for each time a vCPU leaves the guest'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l dry-run -d 'build the machine, say what it is, do not run it'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l json -d 'with --dry-run: print JSON, one line'
complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l verbose -s v -d 'say what is done, and how long each step took'
complete -c reference-vmm -n __fish_use_subcommand -a list -d 'name the machines that run'
complete -c reference-vmm -n __fish_use_subcommand -a info -d 'tell what a machine is'
complete -c reference-vmm -n '__fish_seen_subcommand_from info' -a '(__reference_vmm_running)'
complete -c reference-vmm -n __fish_use_subcommand -a console -d 'use a machine\'s console; Ctrl-A d leaves it, Ctrl-A b sends a break'
complete -c reference-vmm -n '__fish_seen_subcommand_from console' -a '(__reference_vmm_running)'
complete -c reference-vmm -n __fish_use_subcommand -a pause -d 'stop CPUs and devices until resume'
complete -c reference-vmm -n '__fish_seen_subcommand_from pause' -a '(__reference_vmm_running)'
complete -c reference-vmm -n __fish_use_subcommand -a resume -d 'let a paused machine go on'
complete -c reference-vmm -n '__fish_seen_subcommand_from resume' -a '(__reference_vmm_running)'
complete -c reference-vmm -n __fish_use_subcommand -a stop -d 'press the power button, wait for the end; use force after S seconds (30)'
complete -c reference-vmm -n '__fish_seen_subcommand_from stop' -l timeout -x -d seconds
complete -c reference-vmm -n '__fish_seen_subcommand_from stop' -a '(__reference_vmm_running)'
complete -c reference-vmm -n __fish_use_subcommand -a kill -d 'end a machine at once'
complete -c reference-vmm -n '__fish_seen_subcommand_from kill' -a '(__reference_vmm_running)'
complete -c reference-vmm -n __fish_use_subcommand -a balloon -d 'say how much memory the guest should keep (it needs run --balloon)'
complete -c reference-vmm -n '__fish_seen_subcommand_from balloon' -a '(__reference_vmm_running)'
complete -c reference-vmm -n __fish_use_subcommand -a resize-disk -d 'make a disk (vda, vdb, ... or its id) larger, or take the size of its file'
complete -c reference-vmm -n '__fish_seen_subcommand_from resize-disk' -a '(__reference_vmm_running)'
complete -c reference-vmm -n __fish_use_subcommand -a stats -d 'tell what a machine has done so far'
complete -c reference-vmm -n '__fish_seen_subcommand_from stats' -a '(__reference_vmm_running)'
complete -c reference-vmm -n '__fish_seen_subcommand_from list info pause resume stop kill balloon resize-disk stats' -l json -d 'print JSON'
