"""What forms show of a connector is what the connector takes."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import pytest

from mirrorworld.live.sources import scheme_of
from mirrorworld.world.ports import ConnectorAbout, SourceConfig, SourceError

CONNECTORS = {entry.name: entry for entry in entry_points(group="mirrorworld.connectors")}


@pytest.fixture(params=sorted(CONNECTORS))
def connector(request: pytest.FixtureRequest) -> Any:
    return CONNECTORS[request.param].load()


def test_it_has_a_title_and_an_example_that_it_serves(connector: Any) -> None:
    about = connector.about
    assert isinstance(about, ConnectorAbout)
    assert about.title
    assert scheme_of(about.example) in connector.schemes
    names = [option.name for option in about.options]
    assert len(names) == len(set(names))
    for option in about.options:
        assert option.kind in ("text", "number", "boolean", "choice")
        assert option.label
        assert (option.kind == "choice") == bool(option.choices)
        if option.kind == "choice":
            assert option.default in option.choices
        if option.kind == "boolean":
            assert isinstance(option.default, bool)


async def test_every_option_is_one_that_it_knows(connector: Any, monkeypatch, tmp_path) -> None:
    """Each is given to a look at nothing: what fails is the address, never the option's name."""
    for option in connector.about.options:
        url = connector.about.example
        if scheme_of(url) == "file":
            url = str(tmp_path / "none.csv")
        config = SourceConfig(_nowhere(url), "x", {f"{option.name}_misspelt": 1})
        assert "option" in await said(connector, config)  # so that a misspelt one would be seen
        given = option.default if option.default not in ("", None) else "x"
        assert f"option '{option.name}'" not in await said(
            connector, SourceConfig(_nowhere(url), "x", {option.name: given})
        )


async def said(connector: Any, config: SourceConfig) -> str:
    try:
        await connector(config).discover(1)
    except (SourceError, OSError) as error:
        return str(error)
    return ""


def _nowhere(url: str) -> str:
    """The same address where nobody answers, on this machine."""
    scheme, _, rest = url.partition("://")
    if scheme in ("file", "host") or "://" not in url:
        return url
    return f"{scheme}://127.0.0.1:9/{rest.partition('/')[2]}"
