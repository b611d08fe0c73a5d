# SPDX-License-Identifier: MIT
"""The site builds without a warning, has a page for everything that it should, and nothing made is committed."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from btfcheck.dwarf import judge
from btfcheck.dwarf.leaks import KINDS
from btfcheck.lint import tomlfile
from btfcheck.lint.messages import load as load_messages
from btfcheck.lint.rules import load
from tests.layers import LAYERS

ROOT = Path(__file__).parents[1]
RULES = load().rules
HAND_WRITTEN = ("recipes", "architecture", "proof")


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pages", ROOT / "docs/pages.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sphinx(builder: str, target: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", builder, "-d", str(target / "doctrees"),
            *words, str(ROOT / "docs"), str(target / builder)]
    return subprocess.run(argv, capture_output=True, text=True)


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    done = sphinx("html", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    made = {p.relative_to(tmp_path / "html").as_posix() for p in (tmp_path / "html").rglob("*.html")}
    assert made >= {f"rules/{rule}.html" for rule in RULES}
    assert made >= {f"kinds/{kind}.html" for kind in judge.KINDS}
    assert made >= {f"messages/{message}.html" for message in load_messages().messages}
    assert made >= {f"{page}.html" for page in (*HAND_WRITTEN, "changelog", "contributing", "causes")}
    assert "rooms.svg" in (tmp_path / "html/architecture.html").read_text()
    # And the man pages of the rules, from the same sources.
    done = sphinx("man", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert {p.name for p in (tmp_path / "man").iterdir()} >= {f"btfcheck-{rule}.7" for rule in RULES}
    assert "b98565e7b17e" in (tmp_path / "man/btfcheck-BTF102.7").read_text()


def test_a_second_run_writes_nothing(pages: ModuleType, tmp_path: Path) -> None:
    pages.write(tmp_path)
    (tmp_path / "rules/BTF000.md").write_text("# a rule that is gone\n")
    times = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    pages.write(tmp_path)
    assert not (tmp_path / "rules/BTF000.md").exists()
    assert all(p.stat().st_mtime_ns == t for p, t in times.items() if p.exists())


def test_no_made_page_is_committed(pages: ModuleType) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    tracked = subprocess.run(["git", "ls-files", "docs"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {f"docs/{name}" for name in pages.files()} & set(tracked.stdout.split())


def test_every_kind_has_its_entry_and_its_rule() -> None:
    kinds = tomlfile.read(str(ROOT / "docs/kinds.toml"))
    assert list(kinds) == ["M0", *KINDS] == list(judge.KINDS)
    for kind, about in kinds.items():
        assert set(about) == {"title", "signal", "toolchains", "evidence"}
        assert RULES[judge.KINDS[kind].rule].message.startswith(f"{kind}: ")


@pytest.mark.parametrize(("kind", "table"), [
    ("M0", [("1.22 to 1.23", "Rust types in BTF"), ("1.24 to 1.32", "left out")]),
    ("M1", [("1.22 to 1.27", "all Rust types in BTF"), ("1.28 to 1.32", "left out")]),
    ("L3t", [("1.22 to 1.32", "they get into BTF")]),
])  # fmt: skip
def test_what_paholes_make_of_a_kind_is_the_scanners_answer(
    pages: ModuleType, kind: str, table: list[tuple[str, str]]
) -> None:
    example = next(e for e in RULES[judge.KINDS[kind].rule].examples if e["expect"] == "finding")
    found = pages.effects(kind, example["input"])
    assert [paholes for paholes, _ in found] == [paholes for paholes, _ in table]
    for (_, said), (_, words) in zip(found, table, strict=True):
        assert words in said


def test_the_picture_shows_every_room_and_only_arrows_down(pages: ModuleType) -> None:
    picture = ElementTree.fromstring(pages.rooms.svg())
    names = [t.text for t in picture.iter("{http://www.w3.org/2000/svg}text") if t.get("font-weight")]
    assert names == [room for rooms in LAYERS for room in sorted(rooms)]
    paths = [p.get("d") or "" for p in picture.iter("{http://www.w3.org/2000/svg}path") if p.get("marker-end")]
    assert len(paths) >= len(LAYERS) - 1
    for path in paths:
        start, end = re.findall(r"M\S+ (\d+)", path)[0], path.rpartition("V")[2]
        assert int(start) < int(end)


@pytest.mark.parametrize("page", HAND_WRITTEN)
def test_the_commands_of_a_page_exist(page: str) -> None:
    """make's targets, the files that are named, and btfcheck's verbs."""
    text = (ROOT / f"docs/{page}.md").read_text()
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    for block in re.findall(r"```sh\n(.*?)```", text, re.S):
        for line in re.split(r"[\n;|]", block):
            words = shlex.split(line, comments=True)
            words = [w for w in words if "=" not in w.partition("/")[0]]
            if words[:1] == ["make"] and not words[1].startswith("-"):
                assert words[1] in targets
            if words[:3] == ["python", "-m", "pytest"] or words[:1] == ["tests/fetch-paholes"]:
                assert all((ROOT / w).exists() for w in words if "/" in w)
            if words[:1] == ["btfcheck"]:
                from btfcheck.commands import VERBS

                assert words[1] in VERBS
    for name in re.findall(r"`((?:tests|benchmarks|tools|rules|btfcheck|packaging|sample_configs)/[^`* ]*)`", text):
        assert (ROOT / name).exists(), name
