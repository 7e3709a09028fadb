"""What the plant's controllers show and accept: instruments, set-points and methods, by type.

The list between the plant's inner truth and its protocols. Only what is listed here leaves the
process; nothing of `machines.Hidden`, of the valves' drift or of the leak is listed, only what
an instrument would make of it. It knows no protocol.
"""

from __future__ import annotations

from typing import Any, Final

from .interface import Action, Instrument, Interface, belt_speed, count, speed
from .line import SPEED_LOW_PER_H, Line
from .machine_instruments import CAPPER, DEPALLETISER, FILLER, LABELLER, MACHINE, PACKER, RINSER


def _belt(came: str, went: str, there: str, what: str) -> tuple[Instrument, ...]:
    return (
        Instrument(
            "Running", "bool", lambda b: b.speed_m_s > 0.01, "The belt moves.", is_fast=True
        ),
        Instrument(
            "Speed",
            "float",
            lambda b: b.speed_m_s * 60.0,
            "Belt speed.",
            "m/min",
            0.0,
            60.0,
            deadband=0.1,
        ),
        Instrument(
            "SpeedSetpoint",
            "float",
            lambda b: b.setpoint_m_s * 60.0,
            "Belt speed that the drive ramps to.",
            "m/min",
            6.0,
            54.0,
            is_fast=True,
            write=belt_speed,
        ),
        count(came, lambda b: b.count_in, f"{what} set down on the belt, ever."),
        count(went, lambda b: b.count_out, f"{what} taken off the belt, ever."),
        count(there, lambda b: b.count, f"{what} on the belt.", "int32"),
        Instrument(
            "Occupancy",
            "float",
            lambda b: min(100.0, 100.0 * b.count / b.capacity),
            "Share of the belt that is taken.",
            "%",
            0.0,
            100.0,
            deadband=0.5,
        ),
        Instrument(
            "Backup",
            "bool",
            lambda b: b.backlog >= max(3, b.capacity // 3),
            "A queue stands at the end.",
        ),
        Instrument(
            "MotorCurrent",
            "float",
            lambda b: 0.4 + 1.3 * b.speed_m_s / b.nominal_m_s * (0.7 + 0.3 * b.count / b.capacity),
            "Belt drive.",
            "A",
            0.0,
            6.0,
            0.008,
            0.02,
        ),
    )


CONVEYOR: Final = Interface(
    "ConveyorType",
    "",
    "A belt for bottles.",
    _belt("BottlesIn", "BottlesOut", "Bottles", "Bottles"),
)
BUFFER: Final = Interface(
    "BufferType", "ConveyorType", "An accumulation table: a long belt in lanes."
)
CARTON_CONVEYOR: Final = Interface(
    "CartonConveyorType",
    "",
    "A belt for cartons.",
    _belt("CartonsIn", "CartonsOut", "Cartons", "Cartons"),
)

LINE: Final = Interface(
    "LineType",
    "",
    "The line as a whole.",
    (
        Instrument("Order", "text", lambda x: x.order, "Production order."),
        Instrument(
            "ShiftPhase", "text", lambda x: x.shift.phase.name, "What the shift plan says now."
        ),
        Instrument(
            "SpeedSetpoint",
            "float",
            lambda x: x.setpoint_per_h,
            "Line speed; every machine gets its share.",
            "1/h",
            SPEED_LOW_PER_H,
            20_500.0,
            is_fast=True,
            write=lambda x, value: x.set_speed(value),
        ),
        speed("Speed", lambda x: x.filler.speed_per_h, "Speed of the filler, the slowest."),
        count("BottlesIn", lambda x: x.depalletiser.count_in, "Bottles taken in, ever."),
        count("BottlesOut", lambda x: x.packer.count_out, "Bottles packed, ever."),
        count("Rejects", lambda x: x.rejects, "Bottles rejected, ever."),
        count("BottlesInLine", lambda x: x.bottles_in_line, "On the way now.", "int32"),
        Instrument(
            "Availability",
            "float",
            lambda x: 100.0 * x.run_s / max(x.elapsed_s, 1.0),
            "Time that the filler ran.",
            "%",
            0.0,
            100.0,
            deadband=0.1,
        ),
        Instrument(
            "Quality",
            "float",
            lambda x: 100.0 * x.packer.count_out / max(x.packer.count_out + x.rejects, 1),
            "Good of all bottles.",
            "%",
            0.0,
            100.0,
            deadband=0.02,
        ),
    ),
    (
        Action("Start", lambda x: x.start(), "Starts every machine that stands."),
        Action("Stop", lambda x: x.stop(), "Stops every machine in a controlled way."),
    ),
)

CABINET: Final = Interface(
    "ControlCabinetType",
    "",
    "Control cabinet with the line's controllers and drives.",
    (
        Instrument(
            "Temperature",
            "float",
            lambda x: x.cabinet_c,
            "Air in the cabinet.",
            "°C",
            0.0,
            60.0,
            0.05,
            0.1,
        ),
        Instrument("Ready", "bool", lambda x: True, "Controllers run."),
    ),
)

AIR_MANIFOLD: Final = Interface(
    "AirManifoldType",
    "",
    "Compressed air as it reaches the line.",
    (
        Instrument(
            "Pressure",
            "float",
            lambda x: x.air.line_bar,
            "At the line's end.",
            "bar",
            0.0,
            10.0,
            0.006,
            0.01,
        ),
    ),
)

INTERFACES: Final = (
    LINE,
    MACHINE,
    DEPALLETISER,
    RINSER,
    FILLER,
    CAPPER,
    LABELLER,
    PACKER,
    CONVEYOR,
    BUFFER,
    CARTON_CONVEYOR,
    CABINET,
    AIR_MANIFOLD,
)


def owners(line: Line) -> dict[str, tuple[Interface, Any]]:
    """Every object of the controllers below the line: name -> (its type, what it reads)."""
    found: dict[str, tuple[Interface, Any]] = {}
    by_name = {i.name: i for i in INTERFACES}
    for name, machine in line.machines.items():
        found[name] = (by_name[f"{name}Type"], machine)
    for name, belt in line.belts.items():
        found[name] = (BUFFER if name == "Buffer" else CONVEYOR, belt)
    found["CartonConveyor"] = (CARTON_CONVEYOR, line.cartons)
    found["Cabinet"] = (CABINET, line)
    found["AirManifold"] = (AIR_MANIFOLD, line)
    return found
