# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Run a command where /dev/kvm can boot Linux; see docs/nested-kvm.md."""
