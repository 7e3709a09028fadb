"""Prints constraints.txt: the exact versions that are installed in this environment."""

from __future__ import annotations

from importlib.metadata import distributions

HEADER = """\
# The exact versions that the tests run with; `make lock` writes this file.
# pyproject.toml says what is allowed, this says what was tried.
"""
NOT_OURS = {"mirrorworld", "pip", "setuptools", "wheel"}


def main() -> None:
    """Print one `name==version` a line, sorted."""
    pins = {dist.metadata["Name"].lower(): dist for dist in distributions()}
    print(HEADER, end="")
    for name in sorted(set(pins) - NOT_OURS):
        print(f"{pins[name].metadata['Name']}=={pins[name].version}")


if __name__ == "__main__":
    main()
