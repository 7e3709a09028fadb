"""What reports say, in English and German."""

from __future__ import annotations

from typing import Final

LANGUAGES: Final = ("en", "de")

_GERMAN: Final = {
    "Shift report": "Schichtbericht",
    "Effectiveness (ISO 22400-2)": "Anlageneffektivität (ISO 22400-2)",
    "Work unit": "Anlage",
    "Availability": "Verfügbarkeit",
    "Effectiveness": "Leistung",
    "Quality": "Qualität",
    "OEE": "OEE",
    "Good": "Gutteile",
    "Rejected": "Ausschuss",
    "Unknown": "Unbekannt",
    "Where the time went": "Wo die Zeit blieb",
    "Planned busy (PBT)": "Planbelegung (PBT)",
    "Production (APT)": "Produktion (APT)",
    "Delay (ADET)": "Verzögerung (ADET)",
    "Down (ADOT)": "Stillstand (ADOT)",
    "Set-up (AUST)": "Rüsten (AUST)",
    "Planned down (PDOT)": "Geplanter Stillstand (PDOT)",
    "PBT = APT + ADET + ADOT + AUST + unknown; planned down time (PDOT) is no part of it.": (
        "PBT = APT + ADET + ADOT + AUST + unbekannt; geplanter Stillstand (PDOT) gehört nicht dazu."
    ),
    "Stops without a reason:": "Stillstände ohne Grund:",
    "set-up": "rüstet",
    "requested": "beauftragt",
    "sent": "gesendet",
    "confirmed": "bestätigt",
    "refused": "abgelehnt",
    "expired": "abgelaufen",
    "failed": "gescheitert",
    "planned stop": "geplant",
    "Longest stops": "Längste Stillstände",
    "Time lost by reason": "Zeitverlust nach Grund",
    "Reason": "Grund",
    "Began": "Beginn",
    "Length": "Dauer",
    "State": "Zustand",
    "Often": "Anzahl",
    "Alarms": "Alarme",
    "Alarm": "Alarm",
    "Severity": "Dringlichkeit",
    "Raised": "Ausgelöst",
    "Active": "Aktiv",
    "Commands": "Befehle",
    "Time": "Zeit",
    "Asked": "Auftrag",
    "By": "Von",
    "none": "keine",
    "info": "Info",
    "low": "niedrig",
    "medium": "mittel",
    "high": "hoch",
    "made": "erstellt",
    "no reason given": "kein Grund angegeben",
    "running": "läuft",
    "waiting": "wartet",
    "down": "steht",
    "unknown": "unbekannt",
    "Rates are guessed from the points' ranges; a sheet of kind oee sets them.": (
        "Sollraten sind aus den Wertebereichen geschätzt; ein Blatt der Art oee legt sie fest."
    ),
}
SEVERITIES: Final = ("info", "low", "medium", "high")


def say(language: str, english: str) -> str:
    """A text in that language; the English is the key."""
    return _GERMAN.get(english, english) if language == "de" else english


def percent(language: str, share: float | None) -> str:
    """`93.5 %`, with the language's decimal sign; a dash where there is none."""
    if share is None:
        return "–"
    return number(language, share * 100, 1) + "\u00a0%"


def number(language: str, value: float, decimals: int = 0) -> str:
    """A number with the language's separators."""
    text = f"{value:,.{decimals}f}"
    return text.translate(str.maketrans(",.", ".,")) if language == "de" else text


def length(seconds: float) -> str:
    """`1:02:03`."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"
