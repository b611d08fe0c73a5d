# SPDX-License-Identifier: MIT
# For debian/rules of a kernel: judge the configuration before the build, and the built kernel before it is stripped.
#   include packaging/debian.mk     (Build-Depends: btfcheck, dwarves)
# KERNEL_BUILD is the build directory, BTFCHECK_ARGS more options (--fail-on warning).
BTFCHECK ?= btfcheck
KERNEL_BUILD ?= .

execute_before_dh_auto_build:
	$(BTFCHECK) check $(KERNEL_BUILD)/.config $(BTFCHECK_ARGS)

execute_before_dh_strip:
	$(BTFCHECK) gate $(KERNEL_BUILD) $(BTFCHECK_ARGS) --output text --output json:$(KERNEL_BUILD)/btfcheck.json
