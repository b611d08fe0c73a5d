# SPDX-License-Identifier: MIT
"""What people showed in public reports (the issue is named), and what it was: the cause that must come first."""

from __future__ import annotations

import io

import pytest

from btfcheck.explain.symptoms import read
from btfcheck.lint.messages import load

CATALOGUE = load()

REPORTS = {
    "NixOS/nixpkgs 220662: another build of 6.1.15": (
        "[    0.555453] BPF: [93325] ENUM a..percpu \n"
        "[    0.555465] BPF: size=4 vlen=2\n"
        "[    0.555470] BPF:  \n"
        "[    0.555474] BPF: Invalid name\n"
        "[    0.555479] BPF: \n"
        "[    0.555482] failed to validate module [backlight] BTF: -22\n"
        "[    0.559458] BPF: [93327] STRUCT a..percpu \n"
        "[    0.559465] BPF: size=16 vlen=4\n"
        "[    0.559471] BPF:  \n"
        "[    0.559474] BPF: Invalid name\n"
        "[    0.559479] BPF: \n"
        "[    0.559483] failed to validate module [i2c_core] BTF: -22\n"
        "[    0.586072] BPF: [93329] STRUCT a..percpu \n"
        "[    0.586086] BPF: size=104 vlen=9\n"
        "[    0.586092] BPF:  \n"
        "[    0.586096] BPF: Invalid name\n"
        "[    0.586101] BPF: \n"
        "[    0.586105] failed to validate module [drm] BTF: -22\n",
        "module-vmlinux-mismatch", "likely",
    ),
    "immortalwrt/immortalwrt 1108": (
        "[    5.028594] BPF: \t type_id=55 bits_offset=128\n"
        "[    5.029135] BPF:  \n"
        "[    5.029486] BPF: Invalid name\n"
        "[    5.029898] BPF: \n"
        "[    5.030236] failed to validate module [igbvf] BTF: -22\n"
        "[    5.033830] BPF: \t type_id=111 bits_offset=192\n"
        "[    5.034397] BPF:  \n"
        "[    5.034736] BPF: Invalid name\n"
        "[    5.035151] BPF: \n"
        "[    5.035499] failed to validate module [ixgbe] BTF: -22\n",
        "module-vmlinux-mismatch", "likely",
    ),
    "immortalwrt/immortalwrt 1127": (
        "Thu Dec 14 21:48:00 2023 kern.warn kernel: [    9.067789] failed to validate module [r8125] BTF: -22\n"
        "Thu Dec 14 21:48:00 2023 kern.err kernel: [    9.073165] BPF: [110133] STRUCT\n"
        "Thu Dec 14 21:48:00 2023 kern.err kernel: [    9.073847] BPF: size=8 vlen=4\n"
        "Thu Dec 14 21:48:00 2023 kern.err kernel: [    9.074440] BPF:\n"
        "Thu Dec 14 21:48:00 2023 kern.err kernel: [    9.075022] BPF: Invalid name\n"
        "Thu Dec 14 21:48:00 2023 kern.err kernel: [    9.075591] BPF:\n"
        "Thu Dec 14 21:48:00 2023 kern.warn kernel: [    9.076047] failed to validate module [r8152] BTF: -22\n"
        "Thu Dec 14 21:48:00 2023 kern.err kernel: [    9.090246] BPF: [110134] ENUM t\n"
        "Thu Dec 14 21:48:00 2023 kern.err kernel: [    9.090905] BPF: size=4 vlen=160\n"
        "Thu Dec 14 21:48:00 2023 kern.err kernel: [    9.091498] BPF:\n"
        "Thu Dec 14 21:48:00 2023 kern.err kernel: [    9.091956] BPF: Invalid name\n"
        "Thu Dec 14 21:48:00 2023 kern.warn kernel: [    9.093005] failed to validate module [r8168] BTF: -22\n",
        "module-vmlinux-mismatch", "likely",
    ),
    "pop-os/pop 3486": (
        "kern  :err   : [mrt26 17:11] BPF: \t type_id=34 bits_offset=64\n"
        "kern  :err   : [  +0,000007] BPF:  \n"
        "kern  :err   : [  +0,000002] BPF: Invalid name\n"
        "kern  :err   : [  +0,000000] BPF: \n"
        "kern  :warn  : [  +0,000002] failed to validate module [cpuid] BTF: -22\n",
        "module-vmlinux-mismatch", "possible",
    ),
    "oracle/bpftune 68": (
        "[Tue Sep  5 10:53:29 2023] BPF: [129365] Invalid name_offset:2322721\n"
        "[Tue Sep  5 10:53:29 2023] failed to validate module [tcp_htcp] BTF: -22\n"
        "[Tue Sep  5 10:53:29 2023] BPF:         Invalid name_offset:2322721\n"
        "[Tue Sep  5 10:53:29 2023] failed to validate module [tcp_dctcp] BTF: -22\n",
        "module-vmlinux-mismatch", "likely",
    ),
    "graysky2/kernel_compiler_patch 70": (
        "[  +0,003082] BPF:[94156] TYPEDEF  \n"
        "[  +0,001717] BPF:type_id=94174\n"
        "[  +0,001684] BPF: \n"
        "[  +0,001662] BPF:Invalid name\n"
        "[  +0,001579] BPF:\n"
        "[  +0,003050] failed to validate module [vboxdrv] BTF: -22\n",
        "module-vmlinux-mismatch", "possible",
    ),
    "Rust-for-Linux/linux 495": (
        "BPF:[62397] STRUCT closure-0 \n"
        "BPF:size=0 vlen=0\n"
        "BPF: \n"
        "BPF:Invalid name\n"
        "BPF:\n",
        "rust-types-in-btf", "proven",
    ),
    "Frogging-Family/linux-tkg 741": (
        "  LD      .tmp_vmlinux.btf\n"
        "  BTF     .btf.vmlinux.bin.o\n"
        "btf_encoder__encode: btf__dedup failed!\n"
        "Failed to encode BTF\n"
        "  LD      .tmp_vmlinux.kallsyms1\n"
        "  BTFIDS  vmlinux\n"
        "libbpf: failed to find '.BTF' ELF section in vmlinux\n"
        "FAILED: load BTF from vmlinux: No data available\n"
        "make[1]: *** [scripts/Makefile.vmlinux:35: vmlinux] Error 255\n",
        "pahole-too-old", "possible",
    ),
    "foss-for-synopsys-dwc-arc-processors/linux 87": (
        "Complex, interval and imaginary float types are not supported: 3\n"
        "Encountered error while encoding BTF.\n"
        "  BTFIDS  vmlinux\n"
        "FAILED: load BTF from vmlinux: No such file or directory\n"
        "make: *** [Makefile:1161: vmlinux] Error 255\n",
        "language-without-btf", "proven",
    ),
    "foss-for-synopsys-dwc-arc-processors/linux 88": (
        "die__process: DW_TAG_compile_unit, DW_TAG_type_unit, DW_TAG_partial_unit or DW_TAG_skeleton_unit "
        "expected got INVALID (0x0)!\n"
        "pahole: .tmp_vmlinux.btf: Invalid argument\n"
        "  BTFIDS  vmlinux\n"
        "FAILED: load BTF from vmlinux: No such file or directory\n",
        "debug-info-unreadable", "proven",
    ),
    "aquasecurity/btfhub 59": (
        "[41] FWD (anon) Error emitting BTF type\n"
        "Encountered error while encoding BTF.\n",
        "pahole-failed", "proven",
    ),
    "acmel/dwarves 60": (
        "die__process_class: tag not supported 0x4106 (GNU_template_template_param) at <23490>!\n"
        "Unsupported DW_TAG_reference_type(0x10): type: 0xba\n"
        "Error while encoding BTF.\n"
        "btf_encoder__encode: btf__dedup failed!\n"
        "Failed to encode BTF\n",
        "language-without-btf", "proven",
    ),
    "acmel/dwarves 40": (
        "llvm-objcopy: error: Link field value 39 in section .rela.dyn is not a symbol table\n"
        "btf_encoder__write_elf: failed to add .BTF section to '/usr/lib/debug/boot/vmlinux-5.15.0-1025-raspi': 2!\n"
        "Failed to encode BTF\n",
        "btf-not-added", "proven",
    ),
    "dynup/kpatch 1153": (
        "    BTF     .btf.vmlinux.bin.o\n"
        "  scripts/link-vmlinux.sh: line 127: 718345 Segmentation fault      (core dumped) "
        "LLVM_OBJCOPY=${OBJCOPY} ${PAHOLE} -J ${1}\n"
        "  objcopy: --change-section-vma .BTF=0x0000000000000000 never used\n"
        "  objcopy: --change-section-lma .BTF=0x0000000000000000 never used\n"
        "  objcopy: error: the input file '.btf.vmlinux.bin' is empty\n"
        "  Failed to generate BTF for vmlinux\n"
        "  Try to disable CONFIG_DEBUG_INFO_BTF\n"
        "  make: *** [Makefile:1050: vmlinux] Error 1\n",
        "pahole-crashed", "proven",
    ),
    "EDLLT/WSL2-Linux-Kernel 7: pahole 1.25, kernel 5.15": (
        "  BTFIDS  vmlinux\n"
        "FAILED: load BTF from vmlinux: Unknown error -22make: *** [Makefile:1179: vmlinux] Error 255\n",
        "enum64-old-kernel", "possible",
    ),
    "avocado-framework-tests/avocado-misc-tests 1692": (
        "2020-05-05 00:41:15,469 process          L0436 DEBUG| [stderr] BTF: .tmp_vmlinux.btf: pahole "
        "(pahole) is not available\n"
        "2020-05-05 00:41:15,469 process          L0436 DEBUG| [stderr] Failed to generate BTF for vmlinux\n"
        "2020-05-05 00:41:15,469 process          L0436 DEBUG| [stderr] Try to disable CONFIG_DEBUG_INFO_BTF\n",
        "pahole-missing", "proven",
    ),
    "libbpf/libbpf 713": (
        "[669] DATASEC .maps size=88 vlen=3\n"
        "         type_id=6 offset=0 size=24\n"
        "         type_id=33 offset=24 size=32\n"
        "[670] DATASEC .kconfig size=4 vlen=1\n"
        "         type_id=564 offset=0 size=4\n"
        "[301] STRUCT perf_event size=1200 vlen=72\n"
        "        waitq type_id=109 bits_offset=6016 Invalid member\n"
        "\n"
        "-- END BTF LOAD LOG --\n"
        "libbpf: Error loading .BTF into kernel: -22. BTF is optional, ignoring.\n",
        "program-btf-refused", "proven",
    ),
    "Rust-for-Linux/linux 960, today": (
        "***\n"
        "*** Running 'bindgen' to check the libclang version (used by the Rust\n"
        "*** bindings generator) failed with code 101. This may be caused by\n"
        "*** a failure to locate libclang. See output and docs below for details:\n"
        "***\n",
        "libclang-unusable", "proven",
    ),
    "Rust-for-Linux/linux 960": (
        "./scripts/rust_is_available.sh: 21: arithmetic expression: expecting primary: \"100000 *  + 100 *  + \"\n",
        "libclang-unusable", "proven",
    ),
    "Rust-for-Linux/linux 934": (
        "./scripts/rust_is_available.sh: line 21: 100000 *  + 100 *  + : syntax error: operand expected "
        "(error token is \"+ \")\n"
        "make: *** [Makefile:1800: rustavailable] Error 1\n",
        "libclang-unusable", "proven",
    ),
    "raspberrypi/linux 7289": (
        "[  234.975483] bcachefs (sda1): kernel does not have CONFIG_RUST enabled; this will be required for "
        "bcachefs in the near future\n",
        "kernel-without-rust", "likely",
    ),
    "krisnova/boopkit 13: bpftool 5.10": (
        "Error: failed to load BTF from /sys/kernel/btf/vmlinux: Invalid argument\n"
        "make: *** [Makefile:87: autogen] Error 22\n",
        "btf-newer-than-libbpf", "possible",
    ),
    "foss-for-synopsys-dwc-arc-processors/linux 93": (
        "libbpf: BTF loading error: -22\n"
        "libbpf: -- BEGIN BTF LOAD LOG ---\n"
        "magic: 0xeb9f\n"
        "version: 1\n"
        "[1] STRUCT (anon) size=32 vlen=4\n"
        "\ttype type_id=2 bits_offset=0\n"
        "-- END BTF LOAD LOG --\n"
        "libbpf: Error loading .BTF into kernel: -22. BTF is optional, ignoring.\n",
        "program-btf-refused", "proven",
    ),
    "libbpf/libbpf 580": (
        "libbpf: Error loading ELF section .BTF: -22. Ignored and continue.\n",
        "program-btf-refused", "proven",
    ),
    "libbpf/libbpf-bootstrap 174": (
        "libbpf: failed to find valid kernel BTF\n"
        "libbpf: Error loading vmlinux BTF: -3\n"
        "libbpf: failed to load object 'bootstrap_bpf'\n",
        "kernel-without-btf", "proven",
    ),
    "Frogging-Family/linux-tkg 1206: 7.0.5, pahole 1.31": (
        "adding symbol xfrm_state_kfunc_set\n"
        "FAILED: load BTF from .tmp_vmlinux1.BTF.1: No such file or directory\n"
        "+ cleanup\n"
        "+ echo Failed to generate BTF for vmlinux\n"
        "Failed to generate BTF for vmlinux\n"
        "+ echo Try to disable CONFIG_DEBUG_INFO_BTF\n"
        "Try to disable CONFIG_DEBUG_INFO_BTF\n"
        "make[2]: *** [scripts/Makefile.vmlinux:72: vmlinux.unstripped] Error 1\n",
        "no-btf-written", "possible",
    ),
    "morrownr/8821cu-20210916 137": (
        "  BTF [M] /8821cu-20210916/8821cu.ko\n"
        "/bin/sh: line 1: ./tools/bpf/resolve_btfids/resolve_btfids: No such file or directory\n"
        "make[3]: *** [scripts/Makefile.modfinal:60: /8821cu-20210916/8821cu.ko] Error 127\n",
        "resolve-btfids-missing", "proven",
    ),
    "lwfinger/rtw89 187": (
        "  BTF [M] /home/alex/test.ko\n"
        "Skipping BTF generation for /home/alex/test.ko due to unavailability of vmlinux\n"
        "make[1]: Leaving directory '/usr/src/linux-headers-5.15.0-52-generic'\n",
        "module-without-btf", "proven",
    ),
    "NVIDIA/open-gpu-kernel-modules 756": (
        "dwarf_expr: unhandled 0x12 DW_OP_ operation\n"
        "die__process_function: tag not supported 0x2f (template_type_parameter)!\n"
        "dwarf_expr: unhandled 0x12 DW_OP_ operation\n"
        "Unsupported DW_TAG_reference_type(0x10): type: 0x5fb\n"
        "Encountered error while encoding BTF.\n",
        "language-without-btf", "proven",
    ),
}  # fmt: skip


@pytest.mark.parametrize("report", REPORTS)
def test_the_right_cause_comes_first(report: str) -> None:
    text, cause, certainty = REPORTS[report]
    found = read(io.BytesIO(text.encode()), CATALOGUE)
    assert (found.groups[0].causes[0].id, found.groups[0].certainty) == (cause, certainty)
    assert not found.unknown


def test_what_came_of_a_failure_is_no_failure_of_its_own() -> None:
    """pahole's error, the missing section, resolve_btfids and the script that gives up are one group."""
    text, _, _ = REPORTS["foss-for-synopsys-dwc-arc-processors/linux 87"]
    (group,) = read(io.BytesIO(text.encode()), CATALOGUE).groups
    assert {h.message.program for h in group.hits} == {"pahole", "resolve_btfids"}


def test_a_bpf_programs_refusal_is_not_blamed_on_the_kernels_build() -> None:
    text, _, _ = REPORTS["libbpf/libbpf 713"]
    (group,) = read(io.BytesIO(text.encode()), CATALOGUE).groups
    assert {h.message.id for h in group.hits} == {"libbpf-program-btf", "kernel-layout"}
