# SPDX-License-Identifier: MIT
"""What packagers copy is run as it stands, against real configurations."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).parents[1]
GOOD = ROOT / "sample_configs/fedora-6.17.5-arm64-generic.config"
BAD = ROOT / "sample_configs/btfcheck-6.12.117-x86_64-thinlto.config"

# Stands for the installed program. A built kernel is not at hand: of `gate` only the words are parsed.
PROGRAM = f"""#!{sys.executable}
import sys
sys.path.insert(0, {str(ROOT)!r})
from btfcheck import cli
if sys.argv[1] == "gate":
    args = cli.verb_parser("gate")[0].parse_intermixed_args(sys.argv[2:])
    cli.parse_output(args.output)
    print("gate", *sys.argv[2:])
    sys.exit(0)
sys.exit(cli.main())
"""


@pytest.fixture
def shell(tmp_path: Path) -> Any:
    """Runs a script with btfcheck on the PATH, in a directory of its own."""
    program = tmp_path / "btfcheck/bin/btfcheck"
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM)
    program.chmod(0o755)
    variables = {"PATH": f"{program.parent}:/usr/bin:/bin", "RUNNER_TEMP": str(tmp_path), "HOME": str(tmp_path),
                 "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}

    def run(script: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["bash", "-e", "-o", "pipefail", "-c", script, "bash", *words], cwd=tmp_path,
                              env=variables | more, capture_output=True, text=True)

    return run


@pytest.mark.parametrize(("config", "code"), [(GOOD, 0), (BAD, 1)])
def test_github_action(config: Path, code: int, shell: Any, tmp_path: Path) -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    step = action["runs"]["steps"][1]
    inputs = {name: spec["default"] for name, spec in action["inputs"].items()} | {"args": f"{config} --no-probe"}
    env = {n: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda m: inputs[m[1]], v) for n, v in step["env"].items()}
    done = shell(step["run"], **env)
    assert done.returncode == code, done.stderr
    assert ("::error" in done.stdout) == bool(code)
    assert json.loads((tmp_path / "btfcheck.sarif").read_text())["version"] == "2.1.0"
    assert "btfcheck check" in (tmp_path / "summary").read_text()


def test_gitlab_job(shell: Any, tmp_path: Path) -> None:
    job = yaml.safe_load((ROOT / "packaging/gitlab-ci.yml").read_text())["btfcheck"]
    env = job["variables"] | {"KERNEL_CONFIG": str(BAD)}
    assert shell("\n".join(job["script"]), **env).returncode == 1
    assert ElementTree.parse(tmp_path / job["artifacts"]["reports"]["junit"]).getroot().tag == "testsuites"


def test_pre_commit_hook(shell: Any, tmp_path: Path) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    without = tmp_path / "without.config"
    without.write_text("#\n# Linux/x86 6.12.1 Kernel Configuration\n#\nCONFIG_X86=y\n")
    for path in (GOOD, BAD, Path(".config"), Path("configs/config-6.12"), Path("arch/x86/configs/my_defconfig")):
        assert re.search(hook["files"], str(path))
    assert not re.search(hook["files"], "drivers/config.c")
    script = f"{hook['entry']} \"$@\""
    assert shell(script, *hook["args"], str(GOOD), str(without)).returncode == 0
    assert shell(script, *hook["args"], str(BAD), str(GOOD)).returncode == 1
    assert shell(script, *hook["args"], "--fail-on=never", str(BAD)).returncode == 0


@pytest.mark.needs("make")
def test_debian_rules(shell: Any, tmp_path: Path) -> None:
    (tmp_path / ".config").write_text(BAD.read_text())
    make = f"make -f {ROOT}/packaging/debian.mk"
    done = shell(f"{make} execute_before_dh_auto_build BTFCHECK_ARGS=--no-probe")
    assert done.returncode == 2
    assert "error[BTF102]" in done.stdout
    assert "\ngate . " in shell(f"{make} execute_before_dh_strip").stdout


@pytest.mark.needs("dh", "dpkg-buildpackage")
@pytest.mark.parametrize(("config", "code"), [(GOOD, 0), (BAD, 2)])
def test_debian_package_is_built_with_it(config: Path, code: int, shell: Any, tmp_path: Path) -> None:
    """debhelper itself runs the fragment: a sound configuration gives a package, another stops the build."""
    debian = tmp_path / "linux/debian"
    debian.mkdir(parents=True)
    (debian.parent / ".config").write_text(config.read_text())
    (debian / "changelog").write_text(
        "linux-x (1) unstable; urgency=low\n\n  * x\n\n -- A <a@example.org>  Sat, 21 Nov 2026 12:00:00 +0000\n")
    (debian / "control").write_text(
        "Source: linux-x\nMaintainer: A <a@example.org>\nBuild-Depends: debhelper-compat (= 13)\n"
        "Rules-Requires-Root: no\n\nPackage: linux-x\nArchitecture: any\nDescription: x\n x\n")
    rules = debian / "rules"
    rules.write_text(
        f"#!/usr/bin/make -f\nBTFCHECK_ARGS = --no-probe\n%:\n\tdh $@\ninclude {ROOT}/packaging/debian.mk\n")
    rules.chmod(0o755)
    done = shell(f"cd {debian.parent} && dh build --no-parallel && dh binary --no-parallel")
    assert (done.returncode != 0) == bool(code), done.stderr
    assert ("error[BTF102]" in done.stdout) == bool(code)
    assert bool(list(tmp_path.glob("*.deb"))) != bool(code)
    assert ("\ngate . --no-probe --output text --output json:./btfcheck.json\n" in done.stdout) != bool(code)


@pytest.mark.needs("rpmbuild")
@pytest.mark.parametrize(("config", "code"), [(GOOD, 0), (BAD, 1)])
def test_rpm_is_built_with_it(config: Path, code: int, shell: Any, tmp_path: Path) -> None:
    """rpmbuild itself runs %check."""
    top = tmp_path / "rpm"
    (top / "BUILD").mkdir(parents=True)
    (top / "BUILD/.config").write_text(config.read_text())
    spec = top / "kernel.spec"
    spec.write_text("Name: x\nVersion: 1\nRelease: 1\nSummary: x\nLicense: MIT\n"
                    f"%include {ROOT}/packaging/kernel.spec.in\n%description\nx\n%install\n%files\n")
    done = shell(f"rpmbuild -bi --nodeps --define '_topdir {top}' --define 'btfcheck_args --no-probe' {spec}")
    assert done.returncode == code, done.stderr
    assert ("error[BTF102]" in done.stdout) == bool(code)
    assert ("\ngate . --no-probe" in done.stdout) != bool(code)


def test_kernelci_takes_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """KCIDB's own library reads what the converter makes of a report with every status in it."""
    from btfcheck import cli

    report = tmp_path / "report.json"
    cli.main(["check", str(BAD), "--no-probe", "--output", f"json:{report}"])
    outcomes = json.loads(report.read_text())
    outcomes["outcomes"] += [outcomes["outcomes"][0] | {"status": s} for s in ("ok", "skip", "unknown", "error")]
    argv = [sys.executable, str(ROOT / "packaging/kernelci"), "mylab", "mylab:build-1"]
    done = subprocess.run(argv, input=json.dumps(outcomes), capture_output=True, text=True, check=True)
    validate = "import json, sys, kcidb_io; kcidb_io.schema.LATEST.validate(json.load(sys.stdin))"
    subprocess.run([sys.executable, "-c", validate], input=done.stdout, text=True, check=True)
    made = json.loads(done.stdout)
    status = {(t["path"], t["status"]) for t in made["tests"]}
    assert ("btfcheck.btf102", "FAIL") in status
    assert {s for _, s in status} == {"PASS", "FAIL", "SKIP", "MISS", "ERROR"}
    assert len({t["id"] for t in made["tests"]}) == len(outcomes["outcomes"])
    capsys.readouterr()


SCHEMAS = {"packaging/github-workflow.yml": "github-workflows", "action.yml": "github-actions",
           "packaging/gitlab-ci.yml": "gitlab-ci"}


@pytest.mark.parametrize("path", SCHEMAS)
def test_the_published_schema_takes_it(path: str) -> None:
    """The schemas that GitHub's and GitLab's users check with, as check-jsonschema carries them."""
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{SCHEMAS[path]}", str(ROOT / path)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_workflow_gives_the_action_what_it_takes() -> None:
    workflow = yaml.safe_load((ROOT / "packaging/github-workflow.yml").read_text())
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    _, step, upload = workflow["jobs"]["btfcheck"]["steps"]
    assert set(step["with"]) <= set(action["inputs"])
    assert upload["with"]["sarif_file"] == action["inputs"]["sarif"]["default"]


@pytest.mark.parametrize(("verb", "path"), [
    ("validate-manifest", ".pre-commit-hooks.yaml"), ("validate-config", "packaging/pre-commit-config.yaml"),
])  # fmt: skip
def test_pre_commit_itself_takes_it(verb: str, path: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pre_commit", verb, str(ROOT / path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_hook_that_is_configured_exists() -> None:
    (repo,) = yaml.safe_load((ROOT / "packaging/pre-commit-config.yaml").read_text())["repos"]
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert [h["id"] for h in repo["hooks"]] == [hook["id"]]


@pytest.mark.needs("make")
def test_kbuild_fragment(shell: Any) -> None:
    make = f"make -f {ROOT}/packaging/Makefile.btfcheck"
    done = shell(f"{make} btfcheck KCONFIG_CONFIG={BAD} BTFCHECK_ARGS=--no-probe Q=@")
    assert done.returncode == 2
    assert "error[BTF102]" in done.stdout
    done = shell(f"{make} btfcheck-build LLVM=-19 'CC=ccache clang-19' Q=@")
    assert done.stdout == "gate . --config .config LLVM=-19 CC=ccache clang-19\n"
