# SPDX-License-Identifier: MIT
"""Numbers of the DWARF standard (versions 2 to 5, the draft of 6, GNU extensions) that a scan needs."""

from __future__ import annotations

TAGS = {
    0x01: "array_type", 0x02: "class_type", 0x03: "entry_point", 0x04: "enumeration_type",
    0x05: "formal_parameter", 0x08: "imported_declaration", 0x0A: "label", 0x0B: "lexical_block",
    0x0D: "member", 0x0F: "pointer_type", 0x10: "reference_type", 0x11: "compile_unit",
    0x12: "string_type", 0x13: "structure_type", 0x15: "subroutine_type", 0x16: "typedef",
    0x17: "union_type", 0x18: "unspecified_parameters", 0x19: "variant", 0x1C: "inheritance",
    0x1D: "inlined_subroutine", 0x1F: "ptr_to_member_type", 0x20: "set_type", 0x21: "subrange_type",
    0x24: "base_type", 0x26: "const_type", 0x27: "constant", 0x28: "enumerator", 0x29: "file_type",
    0x2D: "packed_type", 0x2E: "subprogram", 0x2F: "template_type_parameter",
    0x30: "template_value_parameter", 0x33: "variant_part", 0x34: "variable", 0x35: "volatile_type",
    0x36: "dwarf_procedure", 0x37: "restrict_type", 0x38: "interface_type", 0x39: "namespace",
    0x3A: "imported_module", 0x3B: "unspecified_type", 0x3C: "partial_unit", 0x3D: "imported_unit",
    0x40: "shared_type", 0x41: "type_unit", 0x42: "rvalue_reference_type", 0x43: "template_alias",
    0x44: "coarray_type", 0x45: "generic_subrange", 0x46: "dynamic_type", 0x47: "atomic_type",
    0x48: "call_site", 0x49: "call_site_parameter", 0x4A: "skeleton_unit", 0x4B: "immutable_type",
    0x4109: "GNU_call_site", 0x410A: "GNU_call_site_parameter", 0x6000: "LLVM_annotation",
}
TAG = {name: number for number, name in TAGS.items()}

ATTRIBUTES = {
    0x01: "sibling", 0x02: "location", 0x03: "name", 0x0B: "byte_size", 0x0C: "bit_offset", 0x0D: "bit_size",
    0x10: "stmt_list",
    0x11: "low_pc", 0x12: "high_pc", 0x13: "language", 0x18: "import", 0x1B: "comp_dir", 0x1C: "const_value",
    0x1D: "containing_type", 0x20: "inline", 0x25: "producer", 0x27: "prototyped", 0x2F: "upper_bound",
    0x31: "abstract_origin", 0x37: "count", 0x38: "data_member_location", 0x3A: "decl_file", 0x3B: "decl_line",
    0x3C: "declaration", 0x3E: "encoding", 0x3F: "external", 0x47: "specification", 0x49: "type",
    0x54: "extension", 0x55: "ranges", 0x64: "object_pointer", 0x69: "signature", 0x6B: "data_bit_offset",
    0x6E: "linkage_name", 0x72: "str_offsets_base", 0x76: "dwo_name", 0x7F: "call_origin", 0x83: "call_target",
    0x88: "alignment", 0x8C: "loclists_base", 0x90: "language_name", 0x2007: "MIPS_linkage_name",
    0x2130: "GNU_dwo_name", 0x2131: "GNU_dwo_id", 0x2132: "GNU_ranges_base",
}
AT = {name: number for number, name in ATTRIBUTES.items()}

FORM = {
    "addr": 0x01, "block2": 0x03, "block4": 0x04, "data2": 0x05, "data4": 0x06, "data8": 0x07,
    "string": 0x08, "block": 0x09, "block1": 0x0A, "data1": 0x0B, "flag": 0x0C, "sdata": 0x0D,
    "strp": 0x0E, "udata": 0x0F, "ref_addr": 0x10, "ref1": 0x11, "ref2": 0x12, "ref4": 0x13, "ref8": 0x14,
    "ref_udata": 0x15, "indirect": 0x16, "sec_offset": 0x17, "exprloc": 0x18, "flag_present": 0x19,
    "strx": 0x1A, "addrx": 0x1B, "ref_sup4": 0x1C, "strp_sup": 0x1D, "data16": 0x1E, "line_strp": 0x1F,
    "ref_sig8": 0x20, "implicit_const": 0x21, "loclistx": 0x22, "rnglistx": 0x23, "ref_sup8": 0x24,
    "strx1": 0x25, "strx2": 0x26, "strx3": 0x27, "strx4": 0x28, "addrx1": 0x29, "addrx2": 0x2A,
    "addrx3": 0x2B, "addrx4": 0x2C, "GNU_addr_index": 0x1F01, "GNU_str_index": 0x1F02,
    "GNU_ref_alt": 0x1F20, "GNU_strp_alt": 0x1F21, "LLVM_addrx_offset": 0x2001,
}

# What only Rust writes among the languages of a kernel: no C compiler and no assembler has these tags.
RUST_TAGS = frozenset(
    TAG[t] for t in ("namespace", "variant_part", "variant", "template_type_parameter",
                     "template_value_parameter")
)
# What rustc never writes, and every C header makes.
C_TAGS = frozenset(
    TAG[t] for t in ("typedef", "const_type", "volatile_type", "restrict_type", "atomic_type")
)
TYPE_TAGS = frozenset(
    number for number, name in TAGS.items() if name.endswith("_type") or name in ("typedef", "template_alias")
)
UNIT_TAGS = frozenset(TAG[t] for t in ("compile_unit", "partial_unit", "type_unit", "skeleton_unit"))

# DW_LANG_*; the C family and assembler are what pahole and the kernel treat as C.
_LANGUAGES = {
    0x01: "C", 0x02: "C", 0x0C: "C", 0x1D: "C", 0x2C: "C", 0x3E: "C",
    0x8001: "asm", 0x31: "asm",
    0x1C: "Rust", 0x9000: "Rust",
    0x04: "C++", 0x1A: "C++", 0x21: "C++", 0x2A: "C++", 0x2B: "C++", 0x3A: "C++",
    0x03: "Ada", 0x0D: "Ada", 0x16: "Go", 0x13: "D", 0x10: "ObjC", 0x1E: "Swift", 0x27: "Zig", 0x24: "Julia",
}
# DW_LNAME_*, of DWARF 6.
_LANGUAGE_NAMES = {0x03: "C", 0x04: "C++", 0x19: "Rust", 0x1D: "asm"}


def language_of(code: int | None, name: int | None) -> str:
    """The language of a unit from DW_AT_language and DW_AT_language_name; "none" without either.

    DW_AT_language wins, as it does in every reader of both (LLVM 22 mixes them in one file).
    """
    if code is not None:
        return _LANGUAGES.get(code, f"language 0x{code:x}")
    if name is not None:
        return _LANGUAGE_NAMES.get(name, f"language name 0x{name:x}")
    return "none"


def tag_name(tag: int) -> str:
    return f"DW_TAG_{TAGS[tag]}" if tag in TAGS else f"DW_TAG_0x{tag:x}"


def attribute_name(attribute: int) -> str:
    return f"DW_AT_{ATTRIBUTES[attribute]}" if attribute in ATTRIBUTES else f"DW_AT_0x{attribute:x}"
