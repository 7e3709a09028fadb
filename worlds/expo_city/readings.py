"""What the instruments of a room, a floor and a building are: names, units, ranges, meanings.

Names follow the classes of Brick 1.4 where one fits, and units are UCUM. Knows no value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BRICK: Final = "https://brickschema.org/schema/Brick#"


@dataclass(frozen=True, slots=True)
class Reading:
    """One instrument.

    Attributes:
        noise: standard deviation of what it says against what is.
        deadband: a gateway sends a change only beyond this.
        brick: class of Brick; "": none fits.
    """

    name: str
    unit: str
    low: float
    high: float
    noise: float
    deadband: float
    brick: str = ""
    is_writable: bool = False
    is_counter: bool = False
    """Sent as a double: a float would lose the last digits of what only grows."""


R = Reading
ROOM: Final = (
    R("Temperature", "Cel", -20, 60, 0.03, 0.1, "Zone_Air_Temperature_Sensor"),
    R("TemperatureSetpoint", "Cel", 16, 30, 0, 0, "Zone_Air_Temperature_Setpoint", True),
    R("OperativeTemperature", "Cel", -20, 60, 0.03, 0.1, "Operative_Temperature"),
    R("Humidity", "%", 0, 100, 0.2, 0.7, "Zone_Air_Humidity_Sensor"),
    R("DewPoint", "Cel", -30, 40, 0.05, 0.2, "Zone_Air_Dewpoint_Sensor"),
    R("CO2", "[ppm]", 300, 5000, 6, 15, "Zone_CO2_Level_Sensor"),
    R("CO2Setpoint", "[ppm]", 600, 1500, 0, 0, "CO2_Setpoint", True),
    R("VOC", "ug/m3", 0, 5000, 3, 8, "TVOC_Level_Sensor"),
    R("PM25", "ug/m3", 0, 500, 0.4, 1, "PM2.5_Level_Sensor"),
    R("SoundLevel", "dB", 20, 120, 0.3, 1, ""),
    R("Occupancy", "{person}", 0, 5000, 0, 0.5, "Occupancy_Count_Sensor"),
    R("SupplyAirFlow", "m3/h", 0, 20000, 2, 8, "Supply_Air_Flow_Sensor"),
    R("SupplyAirFlowSetpoint", "m3/h", 0, 20000, 0, 4, "Supply_Air_Flow_Setpoint"),
    R("SupplyAirTemperature", "Cel", 0, 60, 0.04, 0.15, "Supply_Air_Temperature_Sensor"),
    R("DamperPosition", "%", 0, 100, 0.1, 0.8, "Damper_Position_Sensor"),
    R("HeatingValve", "%", 0, 100, 0.05, 0.8, "Heating_Valve"),
    R("CoolingValve", "%", 0, 100, 0.05, 0.8, "Cooling_Valve"),
    R("HeatingPower", "W", 0, 100000, 2, 25, "Thermal_Power_Sensor"),
    R("CoolingPower", "W", 0, 100000, 2, 25, "Thermal_Power_Sensor"),
    R("LightLevel", "%", 0, 100, 0, 0.5, "Luminance_Setpoint", True),
    R("Illuminance", "lx", 0, 100000, 2, 12, "Illuminance_Sensor"),
    R("LightPower", "W", 0, 20000, 0.3, 4, "Electric_Power_Sensor"),
    R("PlugPower", "W", 0, 50000, 0.5, 8, "Electric_Power_Sensor"),
    R("FanPower", "W", 0, 5000, 0.2, 2, "Electric_Power_Sensor"),
    R("Energy", "kW.h", 0, 1e7, 0, 0.02, "Energy_Usage_Sensor", False, True),
)
FLOOR: Final = (
    R("ElectricPower", "kW", 0, 2000, 0.01, 0.05, "Electric_Power_Sensor"),
    R("LightPower", "kW", 0, 500, 0.003, 0.02, "Electric_Power_Sensor"),
    R("PlugPower", "kW", 0, 1000, 0.005, 0.03, "Electric_Power_Sensor"),
    R("FanPower", "kW", 0, 200, 0.002, 0.01, "Electric_Power_Sensor"),
    R("Energy", "kW.h", 0, 1e8, 0, 0.05, "Energy_Usage_Sensor", False, True),
    R("Temperature", "Cel", -20, 60, 0.01, 0.05, "Average_Zone_Air_Temperature_Sensor"),
    R("Occupancy", "{person}", 0, 20000, 0, 0.5, "Occupancy_Count_Sensor"),
    R("SupplyAirFlow", "m3/h", 0, 400000, 10, 40, "Supply_Air_Flow_Sensor"),
)
BUILDING: Final = (
    R("ElectricPower", "kW", -2000, 10000, 0.05, 0.2, "Electric_Power_Sensor"),
    R("ElectricEnergy", "kW.h", 0, 1e9, 0, 0.1, "Electric_Energy_Sensor", False, True),
    R("LightPower", "kW", 0, 2000, 0.01, 0.05, "Electric_Power_Sensor"),
    R("PlugPower", "kW", 0, 5000, 0.02, 0.1, "Electric_Power_Sensor"),
    R("FanPower", "kW", 0, 1000, 0.005, 0.03, "Electric_Power_Sensor"),
    R("ChillerPower", "kW", 0, 3000, 0.02, 0.1, "Electric_Power_Sensor"),
    R("Voltage", "V", 300, 500, 0.4, 0.8, "Voltage_Sensor"),
    R("Frequency", "Hz", 45, 55, 0.002, 0.008, "Frequency_Sensor"),
    R("PowerFactor", "1", 0, 1, 0.001, 0.004, "Power_Factor_Sensor"),
    R("PvPower", "kW", 0, 1000, 0.02, 0.1, "Electric_Power_Sensor"),
    R("PvEnergy", "kW.h", 0, 1e8, 0, 0.1, "Energy_Generation_Sensor", False, True),
    R("HeatPower", "kW", 0, 5000, 0.05, 0.3, "Heating_Thermal_Power_Sensor"),
    R("HeatEnergy", "kW.h", 0, 1e8, 0, 0.1, "Energy_Usage_Sensor", False, True),
    R("HeatSupplyTemperature", "Cel", 0, 120, 0.05, 0.2, "Hot_Water_Supply_Temperature_Sensor"),
    R("HeatReturnTemperature", "Cel", 0, 120, 0.05, 0.2, "Hot_Water_Return_Temperature_Sensor"),
    R("HeatFlow", "m3/h", 0, 500, 0.02, 0.1, "Hot_Water_Flow_Sensor"),
    R("ColdPower", "kW", 0, 5000, 0.05, 0.3, "Thermal_Power_Sensor"),
    R("ColdEnergy", "kW.h", 0, 1e8, 0, 0.1, "Energy_Usage_Sensor", False, True),
    R("ColdSupplyTemperature", "Cel", 0, 40, 0.05, 0.2, "Chilled_Water_Supply_Temperature_Sensor"),
    R("ColdReturnTemperature", "Cel", 0, 40, 0.05, 0.2, "Chilled_Water_Return_Temperature_Sensor"),
    R("ColdFlow", "m3/h", 0, 500, 0.02, 0.1, "Chilled_Water_Flow_Sensor"),
    R("WaterFlow", "m3/h", 0, 200, 0.01, 0.05, "Water_Flow_Sensor"),
    R("WaterVolume", "m3", 0, 1e8, 0, 0.01, "Water_Usage_Sensor", False, True),
    R("SupplyAirTemperature", "Cel", 0, 60, 0.04, 0.15, "Supply_Air_Temperature_Sensor"),
    R("ReturnAirTemperature", "Cel", 0, 60, 0.04, 0.15, "Return_Air_Temperature_Sensor"),
    R("SupplyAirPressure", "Pa", 0, 2000, 2, 6, "Supply_Air_Static_Pressure_Sensor"),
    R("FilterPressureDrop", "Pa", 0, 600, 1, 3, "Filter_Differential_Pressure_Sensor"),
    R("FanSpeed", "%", 0, 100, 0.1, 0.5, "Fan_Speed_Command"),
    R("FreshAirShare", "%", 0, 100, 0.1, 0.5, "Outside_Damper"),
    R("OutsideTemperature", "Cel", -40, 60, 0.05, 0.15, "Outside_Air_Temperature_Sensor"),
    R("FacadeIrradiance", "W/m2", 0, 1400, 2, 8, "Solar_Irradiance_Sensor"),
    R("Visitors", "{person}", 0, 20000, 0, 0.5, "Occupancy_Count_Sensor"),
    R("SupplyTemperatureSetpoint", "Cel", 10, 30, 0, 0,
      "Supply_Air_Temperature_Setpoint", True),
    R("LoadLimit", "%", 20, 100, 0, 0, "Load_Shed_Command", True),
)  # fmt: skip
assert len({r.name for r in ROOM}) == len(ROOM)


def count(n_buildings: int, n_floors: int, n_rooms: int) -> int:
    """Points of the gateways in all."""
    return n_buildings * len(BUILDING) + n_floors * len(FLOOR) + n_rooms * len(ROOM)
