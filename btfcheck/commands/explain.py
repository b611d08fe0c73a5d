# SPDX-License-Identifier: MIT
"""Explain a rule, a Kconfig symbol, a type or function of a built file, or what a log says.

RULE is a rule's id or name, or the id of a cause or message that --log names.

SYMBOL (RUST, CONFIG_DEBUG_INFO_BTF ...) is explained for a configuration, as `check` finds it: its
value, every clause that it depends on with what each symbol in it is, what selects it, what goes off
with it, and the ways out, each proven by evaluation. It is asked to be y unless --want says
otherwise; other symbols that --want names are to be had with it. Of a symbol whose value cannot be
told, the exit code is 3; otherwise it is 0, for a question has no findings.

TYPE FILE asks why a type or function is in the BTF of FILE, or void, or missing there: which units
define it, what pahole made of it and which versions do so, and how sure that is. TYPE is a name as BTF
or DWARF has it, a Rust path (core::option::Option<u32>), a mangled symbol (_R..., _ZN...), a name as
bpf-linker writes it (Option_3C_u32_3E_), or TYPE.MEMBER. A kind may stand in front: `struct device`,
`function probe`; it must where the name is all capitals, which else is a SYMBOL. FILE is a vmlinux, a
module, a separate debug file, or BTF alone, which does not tell where it came from. The exit code is 0
when there is an answer, 3 when it could not be told, 4 when nothing has that name.

With --rust-types, the Rust types of FILE are counted by what BTF could hold: as they are, after
renaming as bpf-linker does, or not at all, and why.

With --log, every message of pahole, resolve_btfids, libbpf, bpftool,
Kconfig, Kbuild and the kernel's BTF checker is looked for in a build log, dmesg, journal or verifier
log (- is standard input), and traced to its cause: proven (the log itself decides), likely (one
look-alike is left) or possible (several, all listed). Then the exit code is 1 when a harmful cause
was found, 0 when only harmless or doubtful ones or none, 3 when the kernel refused BTF with a
message that is not known, 4 when the log holds nothing about BTF or Rust.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from btfcheck.commands import check, split_variables
from btfcheck.commands.arguments import count, versions
from btfcheck.commands.console import Console
from btfcheck.commands.rules import rule_data
from btfcheck.explain import knowledge, markdown
from btfcheck.explain.pages import rule_page, symbol_page
from btfcheck.formats.style import Style
from btfcheck.lint.checks import near_names
from btfcheck.lint.rules import load
from btfcheck.model import Fact, InputError, Location, Outcome, Report, Severity, Status, UsageError

if TYPE_CHECKING:
    from btfcheck.kconfig.why import Why

WORDS = "RULE | SYMBOL [CONFIG] [VAR=VALUE]... | [KIND] TYPE FILE | --rust-types FILE | --log FILE"
EXAMPLES = """\
  btfcheck explain BTF101
  btfcheck explain rust-btf-lto-blocked --output markdown
  btfcheck explain RUST .config LLVM=1
  btfcheck explain RUST .config --no-probe --kernel 6.14 --want DEBUG_INFO_BTF --want LTO_CLANG_THIN
  btfcheck explain DEBUG_INFO_BTF .config --tree ~/linux
  btfcheck explain task_struct vmlinux
  btfcheck explain struct device vmlinux --btf vmlinux.btf --pahole-version 1.25
  btfcheck explain 'core::option::Option<u32>' vmlinux
  btfcheck explain function vfs_open vmlinux --pahole pahole
  btfcheck explain nf_hook_ops.hook drivers/net/foo.ko --base vmlinux
  btfcheck explain --rust-types vmlinux --output markdown
  btfcheck explain --log build.log
  dmesg | btfcheck explain --log - --output json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", metavar="RULE | SYMBOL | CONFIG | VAR=VALUE | TYPE | FILE", nargs="*")
    parser.add_argument("--log", metavar="FILE", help="explain the messages of a log; - is standard input")
    parser.add_argument("--rust-types", metavar="FILE", help="which Rust types of FILE could be in BTF")
    _add_file_arguments(parser.add_argument_group("for TYPE FILE and --rust-types FILE"))
    check.add_config_arguments(parser)


def _add_file_arguments(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument("--btf", metavar="FILE|embedded", help="the BTF of the file (default: embedded)")
    parser.add_argument("--base", metavar="VMLINUX", help="the vmlinux of a module (default: searched)")
    parser.add_argument("--pahole", metavar="CMD", help="explain what this pahole makes of the file, in its own words")
    parser.add_argument("--pahole-version", metavar="V[,V]...", type=versions, default=[],
                        help="the version that made the BTF, where it is known")
    parser.add_argument("--debug-root", metavar="DIR", action="append", default=[],
                        help="look for separate debug files below DIR too (repeatable)")
    parser.add_argument("--first", metavar="N", type=count, default=20, help="names that are listed (default: 20)")


_SYMBOL = re.compile(r"(?:CONFIG_)?([A-Z0-9][A-Z0-9_]*)")
_RULE = re.compile(r"BTF[0-9]{3}", re.IGNORECASE)


def run(args: argparse.Namespace, console: Console) -> Report:
    for option, path in (("--log", args.log), ("--rust-types", args.rust_types)):
        if path is not None and (args.words or None not in (args.log, args.rust_types)):
            raise UsageError(f"{option} takes nothing beside it: {' '.join(args.words) or 'the other of the two'}")
    if args.log is not None:
        return explain_log(args.log)
    from btfcheck.commands import tracing

    if args.rust_types is not None:
        return tracing.rust_types(args.rust_types, args, console)
    words, given = split_variables(args.words)
    if not words:
        raise UsageError("a RULE, a SYMBOL, a TYPE and its FILE, or --log FILE, is expected; "
                         "`btfcheck rules` lists the rules")
    first = words[0]
    symbol = _SYMBOL.fullmatch(first)
    if symbol and not _RULE.fullmatch(first):
        return explain_symbol(symbol[1], words[1:], given, args, console)
    if len(words) == 1 or _RULE.fullmatch(first) or knowledge.known(first, args.rules):
        if len(args.words) > 1:
            raise UsageError(f"nothing follows a RULE: {' '.join(args.words[1:])}")
        return explain_rule(first, args.rules)
    if given:
        raise UsageError(f"TYPE FILE takes no variables: {' '.join(f'{n}={v}' for n, v in given.items())}")
    return tracing.explain_type(words[:-1], words[-1], args, console)


def explain_rule(word: str, rules: list[str]) -> Report:
    """The page of one rule, by id or name, or that of a cause or message of logs."""
    rule = load(rules).find(word)
    entries = knowledge.entries(word)
    if rule is None and not entries:
        near = knowledge.near(word, rules)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise UsageError(f"no rule {word!r}{hint} `btfcheck rules` lists them; a type is explained "
                         f"with its file: btfcheck explain {word} vmlinux")
    report = Report("explain")
    if rule is not None:
        report.data["rules"] = [rule_data(rule)]
        report.page = markdown.rule_page(report.data["rules"][0])
    if entries:  # a cause may have the name of a rule
        report.data["knowledge"] = entries
        report.page += knowledge.markdown_page(entries)
    return report


def explain_symbol(
    name: str, inputs: list[str], given: dict[str, str], args: argparse.Namespace, console: Console
) -> Report:
    """Why a symbol has its value, and how it could have the wanted one.

    Raises UsageError for a symbol that nobody knows, InputError as `check` does.
    """
    from btfcheck.explain import symbols

    if len(inputs) > 1:
        raise UsageError(f"one configuration at a time, not {len(inputs)}: {' '.join(inputs)}")
    asked = [f for f in check.wishes(args) if f.name == name]
    default = Fact(name, "y", Location("command line", text=name))
    wants = [*(f for f in check.wishes(args) if f.name != name), *(asked or [default])]
    ground = check.lay(
        inputs[0] if inputs else None, wants=wants, kernel=args.kernel, variables=given, probe=not args.no_probe,
        rules=args.rules, tree=args.tree, shell=not args.no_shell, console=console,
    )  # fmt: skip
    if ground.entries is None:
        raise UsageError("which kernel? Give --kernel RELEASE (6.1 or later) or --tree DIR")
    release = ground.facts.release
    answer = symbols.explain(ground.entries, ground.facts, name, {f.name: f.value or "y" for f in wants})
    if answer is None:
        hint = f"; a type of that name is `type {name}`" if inputs else ""
        near = near_names(ground.entries.loaded[0], name)
        ask = "" if args.tree else "--tree DIR asks a kernel's source"
        raise UsageError("; ".join(filter(None, (f"no symbol {name} is known for Linux {release}", near, ask))) + hint)
    data = symbols.data(answer)
    recorded = ground.facts.recorded.get(name)
    place = f"{recorded.source}  {recorded.source.text}" if recorded else ""
    data["recorded"] = {"value": recorded.value, "place": place} if recorded else None
    report = Report("explain", data=data)
    unknown = tuple(w for w in (*answer.whys, *answer.beside) if w.granted is None)
    if unknown:
        report.outcomes.append(_open(name, unknown))
    return report


def _open(name: str, whys: tuple[Why, ...]) -> Outcome:
    """That it is not known whether a symbol would be granted, and what would tell."""
    leaves = [item for w in whys for c in w.undecided for item in c.leaves if item.value == "unknown"]
    missing = tuple(dict.fromkeys(item.name for item in leaves))
    return Outcome("symbol", Status.UNKNOWN, Severity.ERROR, name, f"could not tell whether {name} would be granted",
                   missing=missing or ("what decides it",))


def explain_log(path: str) -> Report:
    """The causes that a log shows. Raises InputError when it cannot be read."""
    from btfcheck.explain.logreport import report
    from btfcheck.explain.symptoms import read
    from btfcheck.lint.messages import load as load_messages

    catalogue = load_messages()
    try:
        if path == "-":
            return report(read(sys.stdin.buffer, catalogue), "<stdin>")
        with open(path, "rb") as stream:
            return report(read(stream, catalogue), path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def body(report: Report, style: Style) -> Iterator[str]:
    for rule in report.data.get("rules", ()):
        yield from rule_page(rule, style)
    if "symbol" in report.data:
        yield from symbol_page(report.data, style)
    if "knowledge" in report.data:
        if "rules" in report.data:
            yield ""
        yield from knowledge.page(report.data["knowledge"], style)
    if "traced" in report.data or "rust_types" in report.data:
        from btfcheck.commands import tracing

        yield from tracing.body(report, style)
