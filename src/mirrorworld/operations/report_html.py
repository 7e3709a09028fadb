"""A shift report as one page of HTML without anything beside it: no script, no address."""

from __future__ import annotations

from html import escape

from mirrorworld.operations.report_tables import PARETO_SHOWN, Table, subtitle, tables, title
from mirrorworld.operations.report_words import length, say
from mirrorworld.operations.shift_report import ShiftReport

_STYLE = """
body{font:15px/1.45 Inter,system-ui,sans-serif;color:#1b2430;max-width:60rem;margin:2rem auto;
padding:0 1rem}h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}
p{color:#5b6675;margin:.2rem 0}.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{padding:.3rem .6rem;text-align:left;border-bottom:1px solid #e2e6eb;vertical-align:top}
th{color:#5b6675;font-weight:500}.n{text-align:right;font-variant-numeric:tabular-nums}
svg{width:100%;height:auto;max-width:44rem}svg text{font:12px Inter,system-ui,sans-serif}
@media print{body{margin:0;max-width:none}}
"""


def html(report: ShiftReport) -> str:
    """The page."""
    name = escape(title(report))
    parts = [
        f'<!doctype html><html lang="{escape(report.language)}"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{name}</title><style>{_STYLE}</style>",
        f"<h1>{name}</h1><p>{escape(subtitle(report))}</p>",
    ]
    for table in tables(report):
        parts.append(_table(table, say(report.language, "none")))
        if table.has_bars:
            parts.append(_bars(report))
    return "".join(parts) + "</html>"


def _table(table: Table, none: str) -> str:
    if not table.rows:
        return f"<h2>{escape(table.title)}</h2><p>{escape(none)}</p>"

    def row(cells: tuple[str, ...], tag: str) -> str:
        shown = (
            f"<{tag}{' class=n' if i >= table.numbers_from else ''}>{escape(cell)}</{tag}>"
            for i, cell in enumerate(cells)
        )
        return f"<tr>{''.join(shown)}</tr>"

    rows = "".join(row(cells, "td") for cells in table.rows)
    note = f"<p>{escape(table.note)}</p>" if table.note else ""
    head = row(table.heads, "th")
    return (
        f"<h2>{escape(table.title)}</h2><div class=wide><table><thead>{head}</thead>"
        f"<tbody>{rows}</tbody></table></div>{note}"
    )


def _bars(report: ShiftReport) -> str:
    """The Pareto of reasons as bars."""
    rows = report.pareto[:PARETO_SHOWN]
    longest = max(seconds for _, seconds, _ in rows) or 1.0
    name = escape(say(report.language, "Time lost by reason"))
    none = say(report.language, "no reason given")
    bars = []
    for i, (reason, seconds, _) in enumerate(rows):
        y, width = i * 26, 380 * seconds / longest
        label = escape((reason or none)[:34])
        bars.append(
            f'<text x="210" y="{y + 17}" text-anchor="end" fill="#1b2430">{label}</text>'
            f'<rect x="218" y="{y + 4}" width="{width:.1f}" height="18" rx="2" fill="#2f6fde"/>'
            f'<text x="{224 + width:.1f}" y="{y + 17}" fill="#5b6675">{length(seconds)}</text>'
        )
    height = len(rows) * 26 + 4
    return f'<svg viewBox="0 0 680 {height}" role="img" aria-label="{name}">{"".join(bars)}</svg>'
