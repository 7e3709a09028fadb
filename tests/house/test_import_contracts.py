"""The contract type of our own notices what it forbids."""

from __future__ import annotations

import grimp
import pytest

from tools.import_contracts import AllowedExternals


def check(imports: dict[str, list[str]], **options: object) -> list[str]:
    """Messages of the contract for a made-up package `house` with a room `house.cellar`."""
    graph = grimp.ImportGraph()
    graph.add_module("house")
    for module, targets in imports.items():
        graph.add_module(module)
        for line, target in enumerate(targets, start=1):
            graph.add_import(
                importer=module, imported=target, line_number=line, line_contents=f"import {target}"
            )
    contract = AllowedExternals(
        name="test", session_options={}, contract_options={"package": "house.cellar", **options}
    )
    return contract.check(graph, verbose=False).metadata["wrong"]


def test_standard_library_and_allowed_packages_pass() -> None:
    imports = {"house.cellar": ["math", "numpy"], "house.cellar.wine": ["house.cellar", "numba"]}
    extra = ["house.cellar.wine -> numba"]
    assert check(imports, allowed=["numpy"], extra=extra) == []


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("requests", "not listed"),
        ("numba", "listed for another module only"),
        ("socket", "taken out of the standard library"),
        ("house.attic", "another room"),
        ("house", "the package above"),
    ],
)
def test_the_rest_is_named_with_its_line(target: str, why: str) -> None:
    wrong = check(
        {"house.cellar": ["math", target], "house.attic": []},
        allowed=["numpy"],
        extra=["house.cellar.wine -> numba"],
        forbidden_standard=["socket"],
    )
    assert wrong == [f"house.cellar imports {target} (line 2)"], why
