"""A report of a shift whose figures were worked out by hand, as HTML and as PDF."""

import io
from pathlib import Path

import pypdf
import pytest

from mirrorworld.operations.report_html import html
from mirrorworld.operations.report_pdf import pdf
from mirrorworld.operations.shift_report import ShiftReport, make_report, plan_of
from tests.operations.kept_world import MINUTE, START, make

SHIFT_END = START + 480 * MINUTE


def report_of(directory: Path, language: str = "en", **options) -> ShiftReport:
    world, record = make(directory)
    try:
        plan = plan_of(world.structure)
        shift = plan.latest(SHIFT_END + MINUTE)
        assert shift is not None and shift.span == (START, SHIFT_END)
        return make_report(
            "kept", world.structure, record, record.log.changes(0, frames=False), shift, plan.zone,
            language=language, now_ns=SHIFT_END + MINUTE, **options,
        )  # fmt: skip
    finally:
        record.close()


def test_figures(tmp_path: Path):
    report = report_of(tmp_path)
    assert [unit.twin for unit in report.units] == ["line/filler", "line/capper"]
    f = report.units[0].figures
    # 480 min less the break from 240 to 270; runs 0-180 and 210-390 without the break.
    assert (f.pbt_s, f.apt_s, f.adet_s, f.adot_s) == (27_000, 19_800, 1_200, 6_000)
    assert (f.gq, f.pq) == (4_700, 4_700 + 470)
    assert f.oee == pytest.approx(330 / 450 * (5_170 / 19_800) * (4_700 / 5_170))
    stops = [(s.state, s.why, s.seconds) for s in report.stops if s.twin == "line/filler"]
    assert stops == [
        ("Stopped", '<jam> "ß" & Ölmangel', 5_400),
        ("Suspended", "starved", 1_200),
        ("Stopped", '<jam> "ß" & Ölmangel', 600),
    ]
    assert report.pareto[0] == ('<jam> "ß" & Ölmangel', 12_000, 4)
    (alarm,) = report.alarms
    assert (alarm.name, alarm.raised, alarm.seconds) == ("Filler", 1, 600)
    (command,) = report.commands
    assert (command.by, command.what) == ("erika", "line/filler.SpeedSetpoint = 3000.0")


def test_html_escapes_what_sources_say(tmp_path: Path):
    page = html(report_of(tmp_path, "de"))
    assert "Füller" in page and "Verfügbarkeit" in page and "73,3\u00a0%" in page
    assert "&lt;jam&gt; &quot;ß&quot; &amp; Ölmangel" in page and "<jam>" not in page
    assert "http" not in page and "<script" not in page


def test_pdf_has_the_same_texts(tmp_path: Path):
    document = pypdf.PdfReader(io.BytesIO(pdf(report_of(tmp_path, "de"))))
    text = "".join(page.extract_text() for page in document.pages)
    for part in (
        "Schichtbericht kept, early",
        "Füller",
        "73,3",
        '<jam> "ß" & Ölmangel',
        "Stau",
        "erika",
    ):
        assert part in text, part
    fonts = [
        f.get_object() for page in document.pages for f in page["/Resources"]["/Font"].values()
    ]
    assert any("FontDescriptor" in str(font.keys()) for font in fonts)


def test_who_sees_less_is_told_less(tmp_path: Path):
    report = report_of(tmp_path, sees=lambda twin: twin == "line/capper")
    assert [unit.twin for unit in report.units] == ["line/capper"]
    assert {stop.twin for stop in report.stops} == {"line/capper"}
    assert not report.alarms and not report.commands
