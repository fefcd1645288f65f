"""Builds the wheel: cargo makes the shared library, and it is put beside one Python file that says where it is.

The hooks are those of PEP 517. The wheel fits every Python 3, and one platform. SAFELIGHT_SPLICE_TARGET, one of
rustup's targets, builds for another than this machine's.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PLATFORMS = {
    "x86_64-unknown-linux-gnu": "linux_x86_64",
    "aarch64-unknown-linux-gnu": "linux_aarch64",
}
NAMES = {"win32": "safelight_splice.dll", "darwin": "libsafelight_splice.dylib"}


def build_wheel(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    """Build, and return the file's name (PEP 517)."""
    del config_settings, metadata_directory
    target = os.environ.get("SAFELIGHT_SPLICE_TARGET", "")
    library = _compile(target)
    version = tomllib.loads((HERE / "Cargo.toml").read_text())["package"]["version"]
    platform = PLATFORMS[target] if target else sysconfig.get_platform().replace("-", "_").replace(".", "_")
    about = f"safelight_splice-{version}.dist-info"
    files = {
        "safelight_splice/__init__.py": (HERE / "safelight_splice" / "__init__.py").read_bytes(),
        f"safelight_splice/library{library.suffix}": library.read_bytes(),
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: safelight-splice\nVersion: {version}\n".encode(),
        f"{about}/WHEEL": (
            f"Wheel-Version: 1.0\nGenerator: building.py\nRoot-Is-Purelib: false\nTag: py3-none-{platform}\n"
        ).encode(),
    }
    record = "".join(f"{name},{_digest(data)},{len(data)}\n" for name, data in files.items())
    files[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\n".encode()
    name = f"safelight_splice-{version}-py3-none-{platform}.whl"
    with zipfile.ZipFile(Path(wheel_directory) / name, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, data in files.items():
            wheel.writestr(
                zipfile.ZipInfo(path), data
            )  # ZipInfo's fixed date: the same input, the same wheel
    return name


def _compile(target: str) -> Path:
    cargo = shutil.which("cargo")
    if cargo is None:
        raise SystemExit("safelight-splice is built by cargo, and there is none: see https://rustup.rs")
    folder = Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target"))
    command = [cargo, "build", "--release", "--offline", "--quiet", "--lib", "--target-dir", str(folder)]
    if target:
        command += ["--target", target]
    subprocess.run(command, cwd=HERE, check=True)
    name = NAMES.get(sys.platform, "libsafelight_splice.so") if not target else "libsafelight_splice.so"
    return folder / target / "release" / name


def _digest(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
