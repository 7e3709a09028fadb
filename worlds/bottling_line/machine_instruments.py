"""What the machines show and accept, type by type.

Of `machine.Hidden` and of the valves' drift nothing is here, only what an instrument makes of it.
"""

from __future__ import annotations

from typing import Final

from .interface import Action, Instrument, Interface, assign, count, speed
from .line import SPEED_HIGH_PER_H, SPEED_LOW_PER_H

MACHINE: Final = Interface(
    "MachineType",
    "",
    "A machine of the line; states are those of PackML.",
    (
        Instrument("State", "state", lambda m: int(m.state), "PackML state.", is_fast=True),
        Instrument("Cause", "text", lambda m: m.cause, "Why the machine stands.", is_fast=True),
        speed("Speed", lambda m: m.speed_per_h, "Bottles per hour, now."),
        Instrument(
            "SpeedSetpoint",
            "float",
            lambda m: m.setpoint_per_h,
            "Bottles per hour that the drive ramps to.",
            "1/h",
            SPEED_LOW_PER_H,
            SPEED_HIGH_PER_H,
            is_fast=True,
            write=assign("setpoint_per_h"),
        ),
        count("BottlesIn", lambda m: m.count_in, "Bottles that came in, ever."),
        count("BottlesOut", lambda m: m.count_out, "Good bottles that went on, ever."),
        count("Rejects", lambda m: m.rejects, "Bottles pushed out, ever."),
        count("BottlesInside", lambda m: m.inside, "Bottles in the machine.", "int32"),
        count("BatchGood", lambda m: m.batch_good, "Good bottles since ResetCounters."),
        count("BatchRejects", lambda m: m.batch_rejects, "Rejects since ResetCounters."),
        Instrument(
            "JamActive", "bool", lambda m: m.is_jammed, "A jam waits to be cleared.", is_fast=True
        ),
        Instrument("JamCount", "int32", lambda m: m.jams, "Jams since the controller started."),
        Instrument("DoorClosed", "bool", lambda m: m.is_door_closed, "Guards are closed."),
        Instrument(
            "Temperature",
            "float",
            lambda m: m.temperature_c,
            "Main gearbox.",
            "°C",
            0.0,
            90.0,
            noise=0.06,
            deadband=0.1,
        ),
        Instrument(
            "Vibration",
            "float",
            lambda m: m.vibration_mm_s(),
            "Main bearing, RMS 10 Hz to 1 kHz.",
            "mm/s",
            0.0,
            20.0,
            deadband=0.02,
        ),
        Instrument(
            "MotorCurrent",
            "float",
            lambda m: m.current_a(),
            "Main drive.",
            "A",
            0.0,
            40.0,
            noise=0.04,
            deadband=0.05,
        ),
        Instrument(
            "OperatingHours",
            "float",
            lambda m: m.run_s / 3600.0,
            "Hours turned, ever.",
            "h",
            0.0,
            200_000.0,
            deadband=0.01,
        ),
    ),
    (
        Action("Start", lambda m: m.start(), "Starts the machine from Stopped."),
        Action("Stop", lambda m: m.stop(), "Stops the machine in a controlled way."),
        Action("ClearJam", lambda m: m.clear_jam(), "Clears a jam; the machine then restarts."),
        Action("ResetCounters", lambda m: m.reset_counters(), "Sets the batch counters to zero."),
    ),
)

DEPALLETISER: Final = Interface(
    "DepalletiserType",
    "MachineType",
    "Sweeps layers of empty bottles from pallets.",
    (
        Instrument(
            "LayersRemaining",
            "int32",
            lambda m: m.layers,
            "Layers on the pallet.",
            low=0.0,
            high=10.0,
        ),
        Instrument("PalletsUsed", "int32", lambda m: m.pallets, "Pallets emptied."),
    ),
)

RINSER: Final = Interface(
    "RinserType",
    "MachineType",
    "Turns bottles over and rinses them.",
    (
        Instrument(
            "WaterPressure",
            "float",
            lambda m: m.water_bar,
            "Before the nozzles.",
            "bar",
            0.0,
            6.0,
            0.015,
            0.02,
        ),
        Instrument(
            "WaterFlow",
            "float",
            lambda m: m.water_flow_m3_h,
            "Rinse water.",
            "m³/h",
            0.0,
            6.0,
            0.01,
            0.02,
        ),
    ),
)

FILLER: Final = Interface(
    "FillerType",
    "MachineType",
    "Rotary filler with 24 valves.",
    (
        Instrument(
            "FillVolume",
            "float",
            lambda m: float(m.valve_ml.mean()),
            "Mean of the last bottle of every valve, by the checkweigher.",
            "ml",
            480.0,
            520.0,
            noise=0.05,
            deadband=0.05,
        ),
        Instrument(
            "FillVolumeSetpoint",
            "float",
            lambda m: m.volume_setpoint_ml,
            "Volume that the valves aim at.",
            "ml",
            490.0,
            510.0,
            write=assign("volume_setpoint_ml"),
        ),
        Instrument(
            "ValveFillVolume",
            "floats",
            lambda m: m.valve_ml,
            "Last bottle of each valve, valve 1 first.",
            "ml",
            480.0,
            520.0,
        ),
        Instrument(
            "BowlLevel",
            "float",
            lambda m: m.bowl_percent,
            "Product in the bowl.",
            "%",
            0.0,
            100.0,
            0.15,
            0.2,
        ),
        Instrument(
            "ProductTemperature",
            "float",
            lambda m: m.product_c,
            "In the bowl; hot while cleaning.",
            "°C",
            0.0,
            95.0,
            0.03,
            0.05,
        ),
        Instrument(
            "HoursToCip",
            "float",
            lambda m: m.hours_to_cip,
            "Running hours until cleaning is due.",
            "h",
            0.0,
            8.0,
            deadband=0.01,
        ),
        Instrument("CipActive", "bool", lambda m: m.cip_s > 0.0, "Cleaning in place runs."),
    ),
    (Action("StartCip", lambda m: m.start_cip(), "Cleans in place; the filler must stand."),),
)

CAPPER: Final = Interface(
    "CapperType",
    "MachineType",
    "Rotary screw capper with 12 heads.",
    (
        Instrument(
            "Torque",
            "float",
            lambda m: m.torque_n_m,
            "Closing torque of the last bottle.",
            "N·m",
            0.0,
            3.0,
            noise=0.004,
            deadband=0.005,
        ),
        Instrument(
            "TorqueSetpoint",
            "float",
            lambda m: m.torque_setpoint_n_m,
            "Torque of the clutches.",
            "N·m",
            1.2,
            2.4,
            write=assign("torque_setpoint_n_m"),
        ),
        Instrument(
            "CapsRemaining", "int32", lambda m: m.caps, "In the hopper.", low=0.0, high=40_000.0
        ),
    ),
    (Action("RefillCaps", lambda m: m.refill(), "Fills the cap hopper."),),
)

LABELLER: Final = Interface(
    "LabellerType",
    "MachineType",
    "Rotary labeller, hot glue, labels from the roll.",
    (
        Instrument(
            "LabelsRemaining", "int32", lambda m: m.labels, "On the roll.", low=0.0, high=9_000.0
        ),
        Instrument(
            "LabelRoll",
            "float",
            lambda m: 100.0 * m.labels / m.roll,
            "Left of the roll.",
            "%",
            0.0,
            100.0,
            deadband=0.1,
        ),
        Instrument(
            "GlueTemperature",
            "float",
            lambda m: m.glue_c,
            "Glue unit.",
            "°C",
            0.0,
            180.0,
            0.25,
            0.2,
        ),
    ),
    (Action("ChangeRoll", lambda m: m.change_roll(), "Puts a new roll of labels in."),),
)

PACKER: Final = Interface(
    "PackerType",
    "MachineType",
    "Lifts twelve bottles at a time into cartons.",
    (
        count("Cartons", lambda m: m.cartons, "Cartons filled, ever."),
        Instrument(
            "CartonBlanks",
            "int32",
            lambda m: m.blanks,
            "In the magazine.",
            low=0.0,
            high=1_200.0,
        ),
    ),
    (Action("RefillBlanks", lambda m: m.refill(), "Fills the magazine of carton blanks."),),
)
