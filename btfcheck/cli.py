# SPDX-License-Identifier: MIT
"""The command line: parse, run one verb, write its report, turn errors into exit codes."""

from __future__ import annotations

import argparse
import errno
import gc
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from btfcheck import __version__
from btfcheck.commands import VERBS
from btfcheck.commands import split_variables as split_variables
from btfcheck.model import BtfcheckError, InputError, Report, UsageError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_EXIT_CODES = """\
exit codes:
  0  nothing at or above --fail-on      3   could not judge (unreadable input, unknown fact)
  1  findings                           4   nothing to check
  2  wrong usage, bad rule file         70  internal error        130  interrupted
"""


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal; argparse itself would import shutil for every run to find that out."""

    def __init__(self, prog: str) -> None:
        try:
            width = os.get_terminal_size().columns
        except OSError:
            width = 100
        super().__init__(prog, max_help_position=28, width=max(60, min(width, 120) - 2))


def verb_parser(verb: str) -> tuple[argparse.ArgumentParser, ModuleType]:
    """The parser of one verb, and its module."""
    module = import_module(f"btfcheck.commands.{verb}")
    parser = argparse.ArgumentParser(
        prog=f"btfcheck {verb}",
        usage=f"btfcheck {verb} [options] {module.WORDS}".rstrip(),
        description=module.__doc__,
        epilog=f"examples:\n{module.EXAMPLES}\n{_EXIT_CODES}",
        formatter_class=_Help,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    shared = parser.add_argument_group("shared options")
    shared.add_argument("--output", metavar="FMT[:FILE]", action="append", default=[],
                        help="text, json, sarif, junit, github or markdown, to FILE or stdout; repeatable "
                             "(default: text)")
    shared.add_argument("--fail-on", choices=("error", "warning", "note", "never"),
                        help="the least severity that makes the exit code 1 (default: error)")
    shared.add_argument("--policy", metavar="FILE",
                        help="severities, waivers and fail-on (default: btfcheck.toml upwards from the build)")
    shared.add_argument("--baseline", metavar="FILE", help="findings that are known; only others count")
    shared.add_argument("--allow-unknown", action="store_true",
                        help="do not fail (exit 3) because a fact is unknown")
    shared.add_argument("--no-probe", action="store_true", help="run no tool; use recorded facts only")
    shared.add_argument("--jobs", "-j", metavar="N", type=_positive, default=os.cpu_count() or 1,
                        help="processes to use (default: all CPUs)")
    shared.add_argument("--color", choices=("auto", "always", "never"), default="auto")
    shared.add_argument("-q", "--quiet", action="store_true", help="findings only, no summary")
    shared.add_argument("-v", "--verbose", action="count", default=0,
                        help="say more: what was skipped, facts; -vv: commands run, traces")
    return parser, module


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def _top_parser() -> argparse.ArgumentParser:
    verbs = "\n".join(f"  {name:10}{text}" for name, text in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="btfcheck",
        usage="btfcheck VERB [options]",
        description="Check Linux kernel configurations, toolchains and builds that carry BTF, Rust and LTO.",
        epilog=f"verbs:\n{verbs}\n\n`btfcheck VERB --help` shows options and examples.\n\n{_EXIT_CODES}",
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"btfcheck {__version__}")
    parser.add_argument("verb", nargs="?", choices=list(VERBS), metavar="VERB")
    return parser


def parse_output(specs: Sequence[str]) -> list[tuple[str, str | None]]:
    """[(format, file or None for stdout)]; text on stdout when none is named.

    Raises UsageError for an unknown format, a name used twice, or two formats on stdout.
    """
    from btfcheck.formats import FORMATS

    outputs: list[tuple[str, str | None]] = []
    for spec in specs or ["text"]:
        fmt, _, name = spec.partition(":")
        if fmt not in FORMATS:
            raise UsageError(f"--output {spec}: unknown format {fmt!r}; known: {', '.join(FORMATS)}")
        outputs.append((fmt, None if name in ("", "-") else name))
    targets = [target for _, target in outputs]
    for target in targets:
        if targets.count(target) > 1:
            raise UsageError(f"--output: two formats for {target or 'stdout'}; give one of them a file")
    return outputs


def write_file(path: str, text: str) -> None:
    """Write beside and rename, so that no half-written report is ever seen."""
    from btfcheck.files import write_whole

    data = text.encode("utf-8", "backslashreplace")
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # /dev/stderr, a fifo
            with open(path, "wb") as stream:
                stream.write(data)
        else:
            write_whole(path, data)
    except OSError as error:
        kind = InputError if error.errno in _NO_ROOM else UsageError
        raise kind(f"--output: cannot write {path}: {error.strerror}") from error


def run_verb(argv: Sequence[str]) -> int:
    """Run one verb and write what it found; returns the exit code."""
    from btfcheck.commands.console import Console
    from btfcheck.commands.settings import Adjuster, settings
    from btfcheck.formats import render, text
    from btfcheck.formats.style import Style, wants_color
    from btfcheck.lint.policy import exit_code

    parser, module = verb_parser(argv[0])
    args = parser.parse_intermixed_args(argv[1:])
    outputs = parse_output(args.output)
    style = Style(wants_color(args.color, sys.stdout), args.verbose, args.quiet)
    chosen = settings(args)
    args.settings = chosen.rows
    adjust = Adjuster(chosen)
    console = Console(style, streaming=("text", None) in outputs, adjust=adjust)
    report: Report = module.run(args, console)
    adjust.finish(report)
    report.fail_on, report.allow_unknown = chosen.fail_on, args.allow_unknown
    code = exit_code(report, chosen.fail_on, args.allow_unknown)
    body = getattr(module, "body", None)
    try:
        for fmt, name in outputs:
            if name is not None:
                write_file(name, render(fmt, report, code, Style(False, args.verbose), body))
            elif console.shown and fmt == "text":
                sys.stdout.write(text.render_rest(report, code, style, console.shown))
            else:
                sys.stdout.write(render(fmt, report, code, style, body))
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
    return code


def _silence_stdout() -> None:
    """The reader went away: no more output, and none at interpreter exit either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(argv: Sequence[str] | None = None) -> int:
    """The whole program; never raises anything but SystemExit from argparse."""
    words = list(sys.argv[1:] if argv is None else argv)
    for name in ("stdout", "stderr"):  # None where the shell closed it (>&-)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        if not words or words[0] not in VERBS:
            args = _top_parser().parse_args(words)
            if args.verb is None:
                _top_parser().print_help(sys.stderr)
                return 2
        return run_verb(words)
    except KeyboardInterrupt:
        print("btfcheck: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _silence_stdout()
        return 0
    except BtfcheckError as error:
        print(f"btfcheck: {error}", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            _silence_stdout()
            print(f"btfcheck: no verdict: {error.filename or 'stdout'}: {error.strerror}", file=sys.stderr)
            return InputError.exit_code
        print(f"btfcheck: internal error: {type(error).__name__}: {error}; please report", file=sys.stderr)
        if any(w.startswith("-v") or w == "--verbose" for w in words):
            import traceback

            traceback.print_exc()
        return 70


def entry() -> None:
    """The `btfcheck` command."""
    # Ended from outside, it still ends the tools that it runs and removes its files.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    # A run makes few cycles and ends soon: looking for them is a sixth of the time of `check`.
    gc.set_threshold(100_000, 20, 20)
    code = main()
    gc.freeze()
    sys.exit(code)
