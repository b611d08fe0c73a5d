#!/bin/sh
# Stands in for the kernel's script of this name.
echo "${TEST_PAHOLE-125}"
