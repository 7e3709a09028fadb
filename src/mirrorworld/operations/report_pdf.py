"""A shift report as a PDF with vector bars and embedded fonts."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from mirrorworld.operations.report_tables import PARETO_SHOWN, Table, subtitle, tables, title
from mirrorworld.operations.report_words import length, say
from mirrorworld.operations.shift_report import ShiftReport

_FONT, _BOLD = "Vera", "VeraBd"
_INK, _SOFT, _BAR, _LINE = "#1b2430", "#5b6675", "#2f6fde", "#d5dae1"
_WIDTH_PT: Final = 510.0


def pdf(report: ShiftReport) -> bytes:
    """The document, A4.

    Raises:
        ImportError: reportlab is not installed.
    """
    from reportlab.lib.colors import HexColor
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

    _fonts()
    ink: Any = HexColor(_INK)
    plain = ParagraphStyle("plain", fontName=_FONT, fontSize=8, leading=10.5, textColor=ink)
    soft = ParagraphStyle("soft", plain, textColor=HexColor(_SOFT), spaceBefore=3)
    heading = ParagraphStyle(
        "heading",
        plain,
        fontName=_BOLD,
        fontSize=10.5,
        spaceBefore=13,
        spaceAfter=4,
        keepWithNext=1,
    )
    top = ParagraphStyle("top", plain, fontName=_BOLD, fontSize=16, leading=21)
    flow: list[Any] = [
        Paragraph(escape(title(report)), top),
        Paragraph(escape(subtitle(report)), soft),
    ]
    for table in tables(report):
        flow.append(Paragraph(escape(table.title), heading))
        if not table.rows:
            flow.append(Paragraph(say(report.language, "none"), soft))
            continue
        flow.append(_table(table, plain))
        if table.note:
            flow.append(Paragraph(escape(table.note), soft))
        if table.has_bars:
            flow += [Spacer(0, 6), _bars(report)]
    made = io.BytesIO()
    document = SimpleDocTemplate(
        made, pagesize=A4, leftMargin=42, rightMargin=42, topMargin=42, bottomMargin=48,
        title=title(report), author="Mirrorworld", lang=report.language,
    )  # fmt: skip

    def foot(canvas: Any, _: Any) -> None:
        canvas.setFont(_FONT, 7)
        canvas.setFillColor(_SOFT)
        canvas.drawRightString(A4[0] - 42, 26, str(canvas.getPageNumber()))
        canvas.drawString(42, 26, title(report))

    document.build(flow, onFirstPage=foot, onLaterPages=foot)
    return made.getvalue()


def _fonts() -> None:
    """Bitstream Vera, which comes with reportlab: the PDF's own fonts know no °, ³ or ß as text."""
    import reportlab
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    folder = Path(reportlab.__file__).parent / "fonts"
    for name in (_FONT, _BOLD):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, str(folder / f"{name}.ttf")))


def _table(table: Table, plain: Any) -> Any:
    from reportlab.lib.colors import HexColor
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import LongTable, Paragraph, TableStyle

    right = ParagraphStyle("right", plain, alignment=2)
    head = ParagraphStyle("head", plain, textColor=HexColor(_SOFT), fontSize=7)
    head_right = ParagraphStyle("head_right", head, alignment=2)

    def cells(row: tuple[str, ...], left: Any, of_numbers: Any) -> list[Any]:
        return [
            Paragraph(escape(cell), of_numbers if i >= table.numbers_from else left)
            for i, cell in enumerate(row)
        ]

    texts = min(table.numbers_from, len(table.heads))
    numbers = len(table.heads) - texts
    # Texts get what figures leave; a figure needs no more than this.
    each = min(62.0, _WIDTH_PT / len(table.heads))
    shares = table.shares or (1.0,) * texts
    room = _WIDTH_PT - numbers * each
    widths = [room * share / sum(shares) for share in shares] + [each] * numbers
    rows = [cells(table.heads, head, head_right)]
    rows += [cells(row, plain, right) for row in table.rows]
    style = TableStyle(
        [
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, HexColor(_LINE)),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
            ("LEFTPADDING", (0, 0), (0, -1), 0),
        ]
    )
    return LongTable(rows, colWidths=widths, repeatRows=1, style=style, hAlign="LEFT")


def _bars(report: ShiftReport) -> Any:
    from reportlab.graphics.shapes import Drawing, Rect, String
    from reportlab.lib.colors import HexColor

    rows = report.pareto[:PARETO_SHOWN]
    longest = max((seconds for _, seconds, _ in rows), default=1.0) or 1.0
    height = 15.0 * len(rows)
    drawing = Drawing(_WIDTH_PT, height)
    none = say(report.language, "no reason given")
    for i, (reason, seconds, _) in enumerate(rows):
        y, width = height - 15.0 * (i + 1), 280 * seconds / longest
        label = {"fontName": _FONT, "fontSize": 7.5}
        text = (reason or none)[:34]
        drawing.add(String(150, y + 4, text, textAnchor="end", fillColor=HexColor(_INK), **label))
        bar: dict[str, Any] = {"fillColor": HexColor(_BAR), "strokeColor": None}
        drawing.add(Rect(156, y + 1.5, width, 10.5, **bar))
        spent = length(seconds)
        drawing.add(String(161 + width, y + 4, spent, fillColor=HexColor(_SOFT), **label))
    return drawing
