# SPDX-License-Identifier: MIT
"""Generated files are those of today's parsers and rules, and are what shells and man can read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from btfcheck import cli
from btfcheck.commands import VERBS
from btfcheck.commands.rules import rule_data
from btfcheck.explain import markdown
from btfcheck.lint.messages import load as load_messages
from btfcheck.lint.rules import load

ROOT = Path(__file__).parents[1]


def test_nothing_generated_is_stale() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "scripts/manuals"), "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), f"run scripts/manuals\n{done.stderr}"


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_has_its_place_in_the_manual(verb: str) -> None:
    page = (ROOT / f"docs/man/btfcheck-{verb}.1").read_text().replace("\\-", "-")
    for action in cli.verb_parser(verb)[0]._actions:
        for option in action.option_strings:
            assert option in page


def test_every_rule_that_a_cause_names_exists() -> None:
    for cause in load_messages().causes.values():
        for rule in cause.rules:
            assert rule in load().rules, f"{cause.id} names {rule}"


def complete(*words: str) -> set[str]:
    """What bash offers for the last word."""
    script = (
        f'. completions/btfcheck.bash; COMP_WORDS=({" ".join(map(repr, words))}); '
        f'COMP_CWORD={len(words) - 1}; _btfcheck; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.needs("bash")
def test_bash_offers_verbs_options_values_and_files() -> None:
    assert complete("btfcheck", "") >= set(VERBS)
    assert "--log" in complete("btfcheck", "explain", "--l")
    assert "--log" not in complete("btfcheck", "scan", "--l")
    assert complete("btfcheck", "check", "--fail-on", "w") == {"warning"}
    assert complete("btfcheck", "check", "LICEN") == {"LICENSE"}


@pytest.mark.needs("zsh")
def test_zsh_reads_its_completion() -> None:
    subprocess.run(["zsh", "-n", "completions/_btfcheck"], cwd=ROOT, check=True)


@pytest.mark.needs("fish")
def test_fish_reads_its_completion() -> None:
    subprocess.run(["fish", "-n", "completions/btfcheck.fish"], cwd=ROOT, check=True)


@pytest.mark.needs("groff")
def test_groff_has_no_complaint() -> None:
    for page in sorted((ROOT / "docs/man").iterdir()):
        done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", str(page)], capture_output=True, text=True)
        assert done.stderr == "", page


def test_a_rule_as_markdown_is_its_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "BTF101", "--output", "markdown"]) == 0
    page = capsys.readouterr().out
    assert page == markdown.rule_page(rule_data(load().rules["BTF101"]))
    assert page.startswith("# BTF101: ")


def test_plain_text_is_no_markup() -> None:
    assert markdown.prose("a `b*_<c` Option<u32> 2*3 __x__ a_b") == r"a `b*_<c` Option\<u32> 2\*3 \__x_\_ a_b"
