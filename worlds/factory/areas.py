"""What the works is equipped with: each area's machines or cells, with their data sheets.

Public knowledge: mean times between failures, repair times, set-ups, yields and powers as makers
and engineers state them. How the plant departs from them is its own affair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .products import Text

HOUR_S: Final = 3600.0
WEEK_S: Final = 7 * 24 * HOUR_S
OPEN_S: Final = 5 * 24 * HOUR_S
"""Three shifts from Monday 06:00 to Saturday 06:00; a week of the plant begins on Monday 06:00."""
SHIFT_S: Final = 8 * HOUR_S
ATTENDANCE: Final = 0.96
"""Of a planned crew, as the personnel office states it."""
WALK_M_S: Final = 1.1
"""How fast people walk, as work studies allow."""
LAUNCH_MIN: Final = 1.0
"""Between two lots that the release lets into the works, at the least."""


@dataclass(frozen=True, slots=True)
class Area:
    """One area: machines of one kind and what they need.

    Attributes:
        skill: whom every job needs all along; "": nobody.
        setup_min: change-over to another family; by `setup_skill`.
        mtbf_h: operating hours between failures; 0: none are stated.
        care_min: planned care after `care_lots` lots, by `setup_skill`.
        rework: share of lots that go to `repair` and come back.
        scrap: share of lots that are lost.
        batch: lots that go through together.
        is_always_open: whether it also runs on the weekend.
        busy_w, idle_w, setup_w, down_w, off_w: electric power of each machine.
        machine_m2: floor of each, with its access and its share of the ways around it.
        machine_cost_h: of each, by the calendar.
    """

    id: str
    name: Text
    skill: str = ""
    setup_min: float = 0.0
    setup_skill: str = ""
    mtbf_h: float = 0.0
    mttr_min: float = 0.0
    care_lots: int = 0
    care_min: float = 0.0
    rework: float = 0.0
    repair: str = ""
    scrap: float = 0.0
    batch: int = 1
    is_always_open: bool = False
    minutes: float = 0.0
    """Of a lot of any family, where families do not differ (repair)."""
    busy_w: float = 0.0
    idle_w: float = 0.0
    setup_w: float = 0.0
    down_w: float = 0.0
    off_w: float = 0.0
    machine_m2: float = 0.0
    machine_cost_h: float = 0.0


AREAS: Final = (
    Area("kitting", ("Kitting", "Kommissionierung"), "kitting",
         busy_w=900, idle_w=300, setup_w=300, down_w=300, off_w=40,
         machine_m2=470, machine_cost_h=2),
    Area("smt", ("SMT lines", "SMT-Linien"), "", 24.0, "smt", 11.0, 24.0, 60, 14.0,
         busy_w=42_000, idle_w=27_000, setup_w=27_000, down_w=24_000, off_w=3_500,
         machine_m2=560, machine_cost_h=62),
    Area("tht", ("Through-hole cells", "THT-Zellen"), "tht", 8.0, "tht", 60.0, 20.0,
         busy_w=5_200, idle_w=2_600, setup_w=2_600, down_w=2_000, off_w=150,
         machine_m2=120, machine_cost_h=5),
    Area("ict", ("In-circuit test", "In-Circuit-Test"), "", 6.0, "test", 24.0, 28.0,
         rework=0.055, repair="repair_ict",
         busy_w=2_400, idle_w=1_100, setup_w=1_100, down_w=900, off_w=80,
         machine_m2=90, machine_cost_h=14),
    Area("repair_ict", ("Repair after in-circuit test", "Reparatur nach ICT"), "repair",
         minutes=26.0, scrap=0.03,
         busy_w=800, idle_w=200, setup_w=200, down_w=200, off_w=20,
         machine_m2=80, machine_cost_h=1),
    Area("coating", ("Conformal coating", "Schutzlackierung"), "", 10.0, "test", 15.0, 35.0,
         80, 20.0,
         busy_w=21_000, idle_w=14_000, setup_w=14_000, down_w=12_000, off_w=900,
         machine_m2=360, machine_cost_h=18),
    Area("assembly", ("Assembly cells", "Montagezellen"), "assembly", 5.0, "assembly", 90.0, 15.0,
         busy_w=1_700, idle_w=700, setup_w=700, down_w=500, off_w=40,
         machine_m2=130, machine_cost_h=4),
    Area("burn_in", ("Burn-in ovens", "Burn-in-Öfen"), "", mtbf_h=160.0, mttr_min=110.0, batch=6,
         is_always_open=True,
         busy_w=14_500, idle_w=2_200, setup_w=2_200, down_w=900, off_w=900,
         machine_m2=110, machine_cost_h=6),
    Area("fct", ("Functional test", "Funktionstest"), "", 6.0, "test", 20.0, 26.0,
         rework=0.045, repair="repair_fct",
         busy_w=3_300, idle_w=1_500, setup_w=1_500, down_w=1_200, off_w=90,
         machine_m2=90, machine_cost_h=12),
    Area("repair_fct", ("Repair after functional test", "Reparatur nach FCT"), "repair",
         minutes=34.0, scrap=0.05,
         busy_w=800, idle_w=200, setup_w=200, down_w=200, off_w=20,
         machine_m2=80, machine_cost_h=1),
    Area("packing", ("Packing", "Verpackung"), "packing",
         busy_w=1_100, idle_w=400, setup_w=400, down_w=400, off_w=40,
         machine_m2=180, machine_cost_h=2),
)  # fmt: skip

BY_ID: Final = {area.id: area for area in AREAS}

SKILLS: Final = {
    "kitting": ("Kitting", "Kommissionierung"),
    "packing": ("Packing", "Verpackung"),
    "smt": ("SMT set-up", "SMT-Rüsten"),
    "tht": ("Through-hole", "THT"),
    "test": ("Test", "Prüfung"),
    "repair": ("Repair", "Reparatur"),
    "assembly": ("Assembly", "Montage"),
    "technician": ("Technicians", "Instandhaltung"),
}
"""Skill → name."""
