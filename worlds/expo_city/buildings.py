"""The buildings' physics: rooms, air handling, meters, photovoltaics. One numpy step for all rooms.

Each room has two heat capacities (its air and what is about it), gains from sun, people, light and
plugs, a radiator and a cooling coil behind valves, and supply air by carbon dioxide and by heat.
Equations: lumped capacities as in ISO 13790 Annex C, cut to two nodes; balances of mass for
carbon dioxide, water vapour and fine dust. What is drawn from the seed stays in here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from . import readings
from .site import Site
from .visitors import Crowd, water_m3_h
from .weather import Sky, Weather

Floats = NDArray[np.floating]

AIR_J_M3_K: Final = 1206.0
STEP_S_MAX: Final = 20.0
COP: Final = 3.4

_ROOM: Final = {r.name: i for i, r in enumerate(readings.ROOM)}
_FLOOR: Final = {r.name: i for i, r in enumerate(readings.FLOOR)}
_BUILDING: Final = {r.name: i for i, r in enumerate(readings.BUILDING)}


@dataclass(slots=True)
class Hidden:
    """What nobody but the plant knows of its rooms; arrays by room (W/K, J/K, m2, 1/h …)."""

    envelope_w_k: Floats
    coupling_w_k: Floats
    air_j_k: Floats
    mass_j_k: Floats
    aperture_m2: Floats
    facing_deg: Floats
    leaks_per_h: Floats
    radiator_w: Floats
    coil_w: Floats
    valve_leak: Floats
    plug_w_m2: Floats
    offset_c: Floats
    offset_ppm: Floats
    people_share: Floats


class Buildings:
    """All rooms of the site.

    Attributes:
        room, floor, building: true values by (room, reading) and so on, in the order of
            `readings`; what instruments add to them is their gateway's affair.
        setpoint_c, setpoint_ppm, light_percent: by room; may be written.
        load_limit, supply_setpoint_c, pv_limit: by building; may be written.
    """

    def __init__(self, site: Site, seed: int, day_s: float) -> None:
        rng = np.random.default_rng([seed, 41])
        self.site, self._seed, self._at_s = site, seed, day_s
        self.crowd = Crowd(site, seed, day_s)
        self._sky = Sky(seed)
        floors_of = [b.floors for b in site.buildings]
        rooms_of_floor = np.array([n for b in site.buildings for n in b.rooms])
        self.building_of_floor = np.repeat(np.arange(len(site.buildings)), floors_of)
        self.floor_of_room = np.repeat(np.arange(len(rooms_of_floor)), rooms_of_floor)
        self.building_of_room = self.building_of_floor[self.floor_of_room]
        self._first_room = np.concatenate([[0], np.cumsum(rooms_of_floor)[:-1]])
        self._first_floor = np.concatenate([[0], np.cumsum(floors_of)[:-1]])
        self._n_rooms_of_floor = rooms_of_floor
        n, m = len(self.floor_of_room), len(site.buildings)
        area = np.array([b.area_m2 / max(1, b.n_rooms) for b in site.buildings])
        self._area = _f(area[self.building_of_room] * rng.uniform(0.7, 1.3, n))
        height = np.array([b.archetype.storey_m for b in site.buildings])[self.building_of_room]
        self._volume = _f(self._area * height * 0.9)
        self.hidden = _draw(rng, self._area, self._volume, self.building_of_room, site)
        self.setpoint_c = _f(np.round(rng.normal(22.5, 0.7, n) * 2.0) / 2.0)
        self.setpoint_ppm = np.full(n, 850.0, np.float32)
        self.light_percent = np.full(n, 80.0, np.float32)
        self.load_limit = np.full(m, 100.0, np.float32)
        self.pv_limit = np.full(m, 100.0, np.float32)
        self.supply_setpoint_c = np.full(m, 17.5, np.float32)
        self._air_c = self.setpoint_c + _f(rng.normal(0.3, 0.4, n))
        self._mass_c = self._air_c.copy()
        self._ppm = _f(rng.uniform(450.0, 700.0, n))
        self._water_g_m3 = np.full(n, 9.5, np.float32)
        self._dust = np.full(n, 6.0, np.float32)
        self._voc = np.full(n, 120.0, np.float32)
        self._heat, self._cool = np.zeros(n, np.float32), np.zeros(n, np.float32)
        self._integral = np.zeros(n, np.float32)
        self._damper = np.full(n, 30.0, np.float32)
        self._filter_pa = _f(rng.uniform(60.0, 190.0, m))
        self._pv_soiling = _f(rng.uniform(0.86, 0.99, m))
        self._grid_phase = float(rng.uniform(0.0, 6.0))
        self.outdoor_dust = 9.0
        self.room = np.zeros((n, len(readings.ROOM)), np.float32)
        self.floor = np.zeros((len(rooms_of_floor), len(readings.FLOOR)), np.float32)
        self.building = np.zeros((m, len(readings.BUILDING)), np.float32)
        self.room_kwh = rng.uniform(50.0, 3000.0, n)
        self.floor_kwh = np.add.reduceat(self.room_kwh, self._first_room)
        self.counters = rng.uniform(500.0, 60_000.0, (m, 5))
        """By building: electricity, photovoltaics, heat, cold (kW.h), water (m3)."""
        self._noise = rng
        self._pv_rated = np.array([b.pv_kw for b in site.buildings], np.float32)
        self._warm_up()

    def _warm_up(self) -> None:
        """Two hours before the beginning, so that it begins in its stride."""
        begin_s = self._at_s
        self._at_s -= 7200.0
        self.crowd = Crowd(self.site, self._seed, self._at_s)
        while self._at_s < begin_s - 1e-6:
            self._step(STEP_S_MAX)

    def advance(self, day_s: float) -> None:
        """Takes the plant on to so many seconds after midnight of the first day."""
        while day_s - self._at_s > 1e-6:
            self._step(min(STEP_S_MAX, day_s - self._at_s))

    # --- one step ---

    def _step(self, dt_s: float) -> None:
        self._at_s += dt_s
        self.crowd.advance(self._at_s)
        sky = self._sky.at(self._at_s)
        at, hidden, dt = self.building_of_room, self.hidden, np.float32(dt_s)
        people = _f(self.crowd.inside)[at] * hidden.people_share
        limit = self.load_limit[at] / 100.0
        is_used = np.minimum(people / np.maximum(self._area * 0.02, 0.5), 1.0)
        # Electricity.
        daylight = self._light_through(sky)
        lamp_share = np.clip(1.15 - daylight / 500.0, 0.12, 1.0) * self.light_percent / 100.0
        light_w = self._area * 9.0 * lamp_share * (0.08 + 0.92 * is_used) * limit
        plug_w = self._area * hidden.plug_w_m2 * (0.22 + 0.78 * is_used)
        # Control: valves by a PI on temperature, damper by carbon dioxide and by heat.
        error = self.setpoint_c - self._air_c
        self._integral = np.clip(self._integral + error * dt / 900.0, -3.0, 3.0)
        call = 26.0 * error + 14.0 * self._integral
        lag = np.float32(1.0 - np.exp(-dt_s / 75.0))
        self._heat += lag * (np.clip(call - 6.0, 0.0, 100.0) * limit - self._heat)
        self._cool += lag * (np.clip(-call - 6.0, 0.0, 100.0) * limit - self._cool)
        want = 18.0 + np.clip((self._ppm - self.setpoint_ppm + 150.0) / 4.0, 0.0, 82.0)
        want = np.maximum(want, 0.5 * self._cool) * (0.35 + 0.65 * limit)
        self._damper += np.float32(1.0 - np.exp(-dt_s / 40.0)) * (want - self._damper)
        flow_m3_s = self._volume * 7.0 / 3600.0 * self._damper / 100.0
        supply_c = self.supply_setpoint_c[at] + np.float32(0.06) * self._heat
        # Heat.
        heat_w = hidden.radiator_w * np.minimum(self._heat / 100.0 + hidden.valve_leak, 1.0)
        cool_w = hidden.coil_w * np.minimum(self._cool / 100.0 + hidden.valve_leak, 1.0)
        sun_w = hidden.aperture_m2 * self._sun_on(sky)
        leaks = hidden.leaks_per_h * self._volume / 3600.0 * AIR_J_M3_K
        outside = np.float32(sky.temperature_c)
        gain = (
            0.5 * sun_w + 72.0 * people + 0.9 * light_w + 0.95 * plug_w + heat_w - cool_w
            + leaks * outside + flow_m3_s * AIR_J_M3_K * supply_c
            + hidden.coupling_w_k * self._mass_c
        )  # fmt: skip
        loss = leaks + flow_m3_s * AIR_J_M3_K + hidden.coupling_w_k
        # Implicit in the air's own temperature: stable at any step.
        self._air_c = (self._air_c + dt * gain / hidden.air_j_k) / (1 + dt * loss / hidden.air_j_k)
        to_mass = (
            hidden.coupling_w_k * (self._air_c - self._mass_c)
            + hidden.envelope_w_k * (outside - self._mass_c) + 0.5 * sun_w
        )  # fmt: skip
        self._mass_c += dt * to_mass / hidden.mass_j_k
        self._balance(dt, people, flow_m3_s, sky)
        self._meter(dt_s, sky, people, flow_m3_s, supply_c, light_w, plug_w, heat_w, cool_w)

    def _balance(self, dt: np.float32, people: Floats, flow_m3_s: Floats, sky: Weather) -> None:
        """Carbon dioxide, vapour, dust and vapours of things: what comes in, goes out, is made."""
        air = flow_m3_s + self.hidden.leaks_per_h * self._volume / 3600.0
        turn = dt * air / self._volume
        made = people * 5.2e-6 * 1e6 / self._volume * dt
        self._ppm = (self._ppm + made + turn * 425.0) / (1.0 + turn)
        outside = _vapour_g_m3(sky.temperature_c) * sky.humidity_percent / 100.0
        # A cooling coil dries the air that it supplies to what saturates at 12 degrees.
        supplied = min(outside, float(_vapour_g_m3(12.0)))
        vapour = people * 0.015 / self._volume * dt
        self._water_g_m3 = (self._water_g_m3 + vapour + turn * np.float32(supplied)) / (1.0 + turn)
        dust = people * 0.15 / self._volume * dt
        kept = np.float32(0.35 * self.outdoor_dust)
        self._dust = (self._dust + dust + turn * kept) / (1.0 + turn + dt * np.float32(5e-5))
        voc = (people * 1.6 + self._area * 0.02) / self._volume * dt
        self._voc = (self._voc + voc + turn * 60.0) / (1.0 + turn)

    def _sun_on(self, sky: Weather) -> Floats:
        """Irradiance on each room's facade, W/m2: direct by angle, and a diffuse part."""
        diffuse = sky.irradiance_w_m2 * (0.2 + 0.5 * sky.cloud)
        if sky.sun_up_deg <= 1.0:
            return np.full(len(self._area), 0.5 * diffuse, np.float32)
        away = np.radians(self.hidden.facing_deg - np.float32(sky.sun_bearing_deg))
        up = np.radians(sky.sun_up_deg)
        direct = max(0.0, sky.irradiance_w_m2 - diffuse) / max(np.sin(up), 0.15) * np.cos(up)
        return _f(np.maximum(np.cos(away), 0.0) * direct + 0.5 * diffuse)

    def _light_through(self, sky: Weather) -> Floats:
        """Daylight inside, lx."""
        return _f(self._sun_on(sky) * self.hidden.aperture_m2 / self._area * 115.0 * 0.35)

    # --- what instruments look at ---

    def _meter(
        self, dt_s: float, sky: Weather, people: Floats, flow_m3_s: Floats, supply_c: Floats,
        light_w: Floats, plug_w: Floats, heat_w: Floats, cool_w: Floats,
    ) -> None:  # fmt: skip
        hours = dt_s / 3600.0
        fan_w = 900.0 * flow_m3_s + 260.0 * flow_m3_s**3
        room_w = light_w + plug_w + fan_w
        self.room_kwh += room_w * (hours / 1000.0)
        hidden, count = self.hidden, np.floor(people + 0.5)
        humidity = 100.0 * self._water_g_m3 / _vapour_g_m3(self._air_c)
        columns = {
            "Temperature": self._air_c + hidden.offset_c,
            "TemperatureSetpoint": self.setpoint_c,
            "OperativeTemperature": 0.5 * (self._air_c + self._mass_c),
            "Humidity": np.minimum(humidity, 99.0),
            "DewPoint": _dew_point_c(self._water_g_m3),
            "CO2": self._ppm + hidden.offset_ppm,
            "CO2Setpoint": self.setpoint_ppm,
            "VOC": self._voc,
            "PM25": self._dust,
            "SoundLevel": 34.0 + 8.5 * np.log10(1.0 + people) + 0.06 * self._damper,
            "Occupancy": count,
            "SupplyAirFlow": flow_m3_s * 3600.0,
            "SupplyAirFlowSetpoint": np.round(flow_m3_s * 360.0) * 10.0,
            "SupplyAirTemperature": supply_c,
            "DamperPosition": self._damper,
            "HeatingValve": self._heat,
            "CoolingValve": self._cool,
            "HeatingPower": heat_w,
            "CoolingPower": cool_w,
            "LightLevel": self.light_percent,
            "Illuminance": self._light_through(sky) + light_w / self._area * 38.0,
            "LightPower": light_w,
            "PlugPower": plug_w,
            "FanPower": fan_w,
            "Energy": self.room_kwh,
        }
        for name, column in columns.items():
            self.room[:, _ROOM[name]] = column
        sums = np.stack([room_w, light_w, plug_w, fan_w, heat_w, cool_w, flow_m3_s, people])
        by_floor = np.add.reduceat(sums, self._first_room, axis=1)
        self.floor_kwh += by_floor[0] * (hours / 1000.0)
        mean_c = np.add.reduceat(self._air_c, self._first_room) / self._n_rooms_of_floor
        floor = self.floor
        for name, column in (
            ("ElectricPower", by_floor[0] / 1e3),
            ("LightPower", by_floor[1] / 1e3),
            ("PlugPower", by_floor[2] / 1e3),
            ("FanPower", by_floor[3] / 1e3),
            ("Energy", self.floor_kwh),
            ("Temperature", mean_c),
            ("Occupancy", np.floor(by_floor[7] + 0.5)),
            ("SupplyAirFlow", by_floor[6] * 3600.0),
        ):
            floor[:, _FLOOR[name]] = column
        self._meter_buildings(dt_s, sky, np.add.reduceat(by_floor, self._first_floor, axis=1))

    def _meter_buildings(self, dt_s: float, sky: Weather, sums: Floats) -> None:
        hours = dt_s / 3600.0
        electric, light, plug, fan, heat, cool, flow, people = sums
        outside = sky.temperature_c
        fresh = np.clip(30.0 + 70.0 * (1.0 - np.abs(outside - 17.5) / 12.0), 20.0, 100.0)
        # Air is brought from what comes back and from outside to the temperature of supply.
        back = np.add.reduceat(self._air_c, self._first_room[self._first_floor]) / np.maximum(
            np.add.reduceat(self._n_rooms_of_floor, self._first_floor), 1
        )
        mixed = back + (outside - back) * fresh / 100.0
        conditioned = flow * AIR_J_M3_K * (self.supply_setpoint_c - mixed)
        heat = heat + np.maximum(conditioned, 0.0)
        cool = cool + np.maximum(-conditioned, 0.0)
        chiller = cool / COP * (1.0 + 0.012 * max(0.0, outside - 25.0))
        pv = self._pv_rated * self._pv_soiling * (sky.irradiance_w_m2 / 1000.0)
        pv = pv * (1.0 - 0.004 * max(0.0, outside + 0.03 * sky.irradiance_w_m2 - 25.0)) * 0.93
        pv = np.minimum(pv, self._pv_rated * self.pv_limit / 100.0)
        total = (electric + chiller) / 1e3 - pv
        water = _f(water_m3_h(self.site, self.crowd.inside, self._at_s, self._seed))
        rates = (np.maximum(total, 0.0), pv, heat / 1e3, cool / 1e3, water)
        for k, rate in enumerate(rates):
            self.counters[:, k] += rate * hours
        self._filter_pa += np.float32(dt_s * 2e-6) * flow
        speed = np.clip(20.0 + 80.0 * flow / np.maximum(flow.max(), 1e-6), 20.0, 100.0)
        wave = np.sin(self._at_s / 37.0 + self._grid_phase) + np.sin(self._at_s / 11.3)
        out = self.building
        for name, column in (
            ("ElectricPower", total),
            ("ElectricEnergy", self.counters[:, 0]),
            ("LightPower", light / 1e3),
            ("PlugPower", plug / 1e3),
            ("FanPower", fan / 1e3),
            ("ChillerPower", chiller / 1e3),
            ("Voltage", 400.0 - 0.02 * total + 1.2 * wave),
            ("Frequency", 50.0 + 0.011 * wave),
            ("PowerFactor", 0.97 - 0.05 * plug / np.maximum(electric + chiller, 1.0)),
            ("PvPower", pv),
            ("PvEnergy", self.counters[:, 1]),
            ("HeatPower", heat / 1e3),
            ("HeatEnergy", self.counters[:, 2]),
            ("HeatSupplyTemperature", 58.0 - 0.6 * (outside - 10.0)),
            ("HeatReturnTemperature", 58.0 - 0.6 * (outside - 10.0) - 16.0),
            ("HeatFlow", heat / (4186.0 * 16.0) * 3.6),
            ("ColdPower", cool / 1e3),
            ("ColdEnergy", self.counters[:, 3]),
            ("ColdSupplyTemperature", np.full(len(total), 6.5) + 0.004 * cool / 1e3),
            ("ColdReturnTemperature", np.full(len(total), 12.0) + 0.006 * cool / 1e3),
            ("ColdFlow", cool / (4186.0 * 5.7) * 3.6),
            ("WaterFlow", water),
            ("WaterVolume", self.counters[:, 4]),
            ("SupplyAirTemperature", self.supply_setpoint_c + 0.3),
            ("ReturnAirTemperature", back),
            ("SupplyAirPressure", 160.0 + 2.4 * speed),
            ("FilterPressureDrop", self._filter_pa * (speed / 100.0) ** 1.5),
            ("FanSpeed", speed),
            ("FreshAirShare", fresh),
            ("OutsideTemperature", np.full(len(total), outside)),
            ("FacadeIrradiance", np.full(len(total), sky.irradiance_w_m2)),
            ("Visitors", np.floor(people + 0.5)),
            ("SupplyTemperatureSetpoint", self.supply_setpoint_c),
            ("LoadLimit", self.load_limit),
        ):
            out[:, _BUILDING[name]] = column


def _draw(
    rng: np.random.Generator, area: Floats, volume: Floats, building: NDArray[np.intp], site: Site
) -> Hidden:
    n = len(area)

    def spread(typical: float, sigma: float) -> Floats:
        return _f(typical * rng.lognormal(0.0, sigma, n))

    weight = rng.gamma(2.0, 1.0, n) * area
    total = np.bincount(building, weight, len(site.buildings))
    return Hidden(
        envelope_w_k=_f(area * spread(0.85, 0.3)),
        coupling_w_k=_f(area * spread(9.5, 0.2)),
        air_j_k=_f(volume * AIR_J_M3_K * spread(4.0, 0.15)),
        mass_j_k=_f(area * spread(165_000.0, 0.25)),
        aperture_m2=_f(area * spread(0.07, 0.4)),
        facing_deg=_f(rng.uniform(0.0, 360.0, n)),
        leaks_per_h=spread(0.12, 0.5),
        radiator_w=_f(area * spread(55.0, 0.2)),
        coil_w=_f(area * spread(85.0, 0.2)),
        valve_leak=_f(rng.beta(1.0, 40.0, n) * 0.3),
        plug_w_m2=spread(9.0, 0.4),
        offset_c=_f(rng.normal(0.0, 0.15, n)),
        offset_ppm=_f(rng.normal(0.0, 14.0, n)),
        people_share=_f(weight / total[building]),
    )


def _vapour_g_m3(celsius: Floats | float) -> Floats:
    """Water vapour that saturates air, g/m3 (Magnus)."""
    return _f(1322.9 * np.exp(17.38 * celsius / (239.0 + celsius)) / (celsius + 273.15))


def _dew_point_c(water_g_m3: Floats) -> Floats:
    pressure = np.maximum(water_g_m3, 0.1) * 288.0 / 216.7
    log = np.log(pressure / 6.112)
    return _f(243.5 * log / (17.67 - log))


def _f(values: NDArray[np.floating]) -> Floats:
    return np.asarray(values, np.float32)
