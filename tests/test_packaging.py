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


def test_rpm_spec(shell: Any, tmp_path: Path) -> None:
    spec = (ROOT / "packaging/kernel.spec.in").read_text()
    (tmp_path / ".config").write_text(GOOD.read_text())
    script = spec.split("%check\n")[1]
    assert shell(script.replace(".config", ".config --no-probe", 1)).stdout.splitlines()[-1].startswith("gate . ")


@pytest.mark.needs("make")
def test_kbuild_fragment(shell: Any) -> None:
    make = f"make -f {ROOT}/packaging/Makefile.btfcheck"
    done = shell(f"{make} btfcheck KCONFIG_CONFIG={BAD} BTFCHECK_ARGS=--no-probe Q=@")
    assert done.returncode == 2
    assert "error[BTF102]" in done.stdout
    done = shell(f"{make} btfcheck-build LLVM=-19 'CC=ccache clang-19' Q=@")
    assert done.stdout == "gate . --config .config LLVM=-19 CC=ccache clang-19\n"
