"""Fleets of the plain event loop: who carries what, and who stands in whose way.

A part that is to be carried keeps its place until it is loaded, and has its next one reserved
from the moment a vehicle is called. On tracks a vehicle is in one segment at a time and leaves it
only for the next, or at the place where it stops: places hold any number.
"""

# Mixed into reference.Line, whose state it uses.
# pyright: basic

from __future__ import annotations

import enum
from collections import deque
from typing import TYPE_CHECKING, Any

from mirrorworld.simulation.flow.model import Drain, Station
from mirrorworld.simulation.flow.plan import NONE, Draws, Way
from mirrorworld.simulation.flow.reference_stations import Phase
from mirrorworld.simulation.flow.results import Doing

if TYPE_CHECKING:
    from mirrorworld.simulation.flow.reference_moves import Part
    from mirrorworld.simulation.flow.reference_stations import Server


class Trip(enum.IntEnum):
    """What a vehicle is on its way to do."""

    IDLE = 0
    FETCH = 1
    LOAD = 2
    BRING = 3
    UNLOAD = 4
    HOME = 5


class Vehicle:
    """One of a fleet."""

    def __init__(self, fleet: int, row: int, at: int) -> None:
        self.fleet = fleet
        self.row, self.number = row, 0
        self.trip = Trip.IDLE
        self.at = at
        """Place of the track; without tracks the node; NONE: nowhere yet."""
        self.to = NONE
        self.part: Part | None = None
        self.zone = NONE
        """Segment that it is in."""
        self.next = NONE
        """Way (2 × segment + backwards) that it waits to enter or travels."""
        self.doing = Doing.STARVED
        self.since_s = 0.0
        self.doing_s = [0.0] * len(Doing)


class Zone:
    """A segment of a track."""

    def __init__(self) -> None:
        self.inside = 0
        self.direction = 0
        self.queue: deque[Vehicle] = deque()


class Fleets:
    """What reference.Line knows of fleets."""

    def __getattr__(self, name: str) -> Any: ...

    def set_up_fleets(self) -> None:
        self.vehicles: list[Vehicle] = []
        self.fleet: list[list[Vehicle]] = []
        self.calls: list[list[Part]] = [[] for _ in self.model.fleets]
        self.is_calling = [False] * len(self.model.fleets)
        self.zones = [[Zone() for _ in fleet.segments] for fleet in self.model.fleets]
        for i, fleet in enumerate(self.model.fleets):
            track = self.plan.trips[i].track
            row = len(self.model.nodes) + len(self.vehicles)
            start = track.start if track else NONE
            self.fleet.append([Vehicle(i, row + n, start) for n in range(fleet.vehicles)])
            self.vehicles += self.fleet[-1]

    def begin_fleets(self) -> None:
        for vehicle in self.vehicles:
            self.record(vehicle.row, 0, vehicle.doing, NONE, 0)

    def drive_state(self, vehicle: Vehicle, doing: Doing) -> None:
        carries = vehicle.part if vehicle.trip in (Trip.BRING, Trip.UNLOAD) else None
        self.show(vehicle, doing, carries.serial if carries else NONE, int(carries is not None))

    # --- calling ------------------------------------------------------------------------------

    def book(self, part: Part, way: Way, server: Server | None) -> None:
        """Calls a vehicle; the place where the part will go is kept for it."""
        part.booked = (way, server)
        target = self.places[way.target]
        if isinstance(target.node, Station):
            server.phase = Phase.RESERVED  # pyright: ignore
        if not isinstance(target.node, Drain):
            target.reserved += 1
        calls = self.calls[way.fleet]
        at = len(calls)
        if part.hot:
            at = sum(1 for other in calls if other.hot)
        calls.insert(at, part)
        self.touch_fleet(way.fleet)

    def touch_fleet(self, i: int) -> None:
        if not self.is_calling[i]:
            self.is_calling[i] = True
            self.touch(self.assign, i)

    def stop_of(self, i: int, node: int) -> int:
        """Where a fleet picks up and puts down a node's parts."""
        track = self.plan.trips[i].track
        return track.stop_of[node] if track else node

    def assign(self, i: int) -> None:
        """Calls to idle vehicles; those that are left over go home."""
        self.is_calling[i] = False
        fleet, track = self.model.fleets[i], self.plan.trips[i].track
        calls = self.calls[i]
        while calls:
            best: tuple[bool, float, int, int] | None = None
            for c, part in enumerate(calls):
                for v, vehicle in enumerate(self.fleet[i]):
                    if vehicle.trip is Trip.IDLE:
                        far = 0.0
                        if fleet.picks_nearest:
                            place = self.stop_of(i, part.place.index)
                            if track:
                                far = track.distance[vehicle.at][place]
                            else:
                                far = float(vehicle.at != place)
                        key = (not part.hot, far, c, v)
                        if best is None or key < best:
                            best = key
            if best is None:
                return
            part, vehicle = calls.pop(best[2]), self.fleet[i][best[3]]
            vehicle.part, vehicle.trip = part, Trip.FETCH
            self.go(vehicle, self.stop_of(i, part.place.index))
        if track and track.home != NONE:
            for vehicle in self.fleet[i]:
                if vehicle.trip is Trip.IDLE and vehicle.at != track.home:
                    vehicle.trip = Trip.HOME
                    self.go(vehicle, track.home)

    # --- driving ------------------------------------------------------------------------------

    def go(self, vehicle: Vehicle, to: int) -> None:
        """To a place; there at once if it is there."""
        vehicle.to = to
        if vehicle.at == to:
            self.there(vehicle)
            return
        trips = self.plan.trips[vehicle.fleet]
        if trips.track:
            self.next_zone(vehicle)
            return
        assert trips.travel is not None
        self.drive_state(vehicle, Doing.BUSY)
        self.after(vehicle, trips.travel)

    def after(self, vehicle: Vehicle, how: Draws | None) -> None:
        """Its next event, after a time that is drawn, or none."""
        time_s = 0.0 if how is None else self.draw(how)
        of = (NONE, 0.0) if how is None else (how.stream, time_s)
        self.schedule(self.now + time_s, self.vehicle_event, vehicle, of=of)

    def next_zone(self, vehicle: Vehicle) -> None:
        """Into the next segment on its way, or in line for it, first come first served."""
        track = self.plan.trips[vehicle.fleet].track
        vehicle.next = track.next[vehicle.at][vehicle.to]
        zone = self.zones[vehicle.fleet][vehicle.next // 2]
        if not zone.queue and self.has_room(vehicle, zone):
            self.enter_zone(vehicle, zone)
        else:
            zone.queue.append(vehicle)
            self.drive_state(vehicle, Doing.BLOCKED)

    def has_room(self, vehicle: Vehicle, zone: Zone) -> bool:
        segment = self.model.fleets[vehicle.fleet].segments[vehicle.next // 2]
        if zone.inside == 0:
            return True
        return zone.inside < segment.capacity and zone.direction == vehicle.next % 2

    def enter_zone(self, vehicle: Vehicle, zone: Zone) -> None:
        fleet = self.model.fleets[vehicle.fleet]
        self.leave_zone(vehicle)
        self.moved_s = self.now
        zone.inside += 1
        zone.direction = vehicle.next % 2
        vehicle.zone = vehicle.next // 2
        self.drive_state(vehicle, Doing.BUSY)
        time_s = fleet.segments[vehicle.zone].length_m / fleet.speed_m_s
        element = self.plan.element(len(self.model.nodes) + vehicle.fleet)
        self.schedule(self.now + time_s, self.vehicle_event, vehicle, of=(element, time_s))

    def leave_zone(self, vehicle: Vehicle) -> None:
        if vehicle.zone != NONE:
            self.zones[vehicle.fleet][vehicle.zone].inside -= 1
            self.touch(self.open_zone, (vehicle.fleet, vehicle.zone))
            vehicle.zone = NONE

    def open_zone(self, about: tuple[int, int]) -> None:
        """Lets in who waits, as long as the first of them has room."""
        zone = self.zones[about[0]][about[1]]
        while zone.queue and self.has_room(zone.queue[0], zone):
            self.enter_zone(zone.queue.popleft(), zone)

    def vehicle_event(self, vehicle: Vehicle) -> None:
        """It has driven, loaded or unloaded."""
        self.moved_s = self.now
        track = self.plan.trips[vehicle.fleet].track
        if vehicle.trip is Trip.LOAD:
            self.loaded(vehicle)
        elif vehicle.trip is Trip.UNLOAD:
            self.unloaded(vehicle)
        elif track is None:
            vehicle.at = vehicle.to
            self.there(vehicle)
        else:
            segment, backwards = divmod(vehicle.next, 2)
            vehicle.at = track.ends[segment][1 - backwards]
            if vehicle.at == vehicle.to or vehicle.trip is Trip.HOME:
                self.leave_zone(vehicle)
                self.there(vehicle)
            else:
                self.next_zone(vehicle)

    def there(self, vehicle: Vehicle) -> None:
        """Where it wanted to go; on its way home, at any place."""
        trips = self.plan.trips[vehicle.fleet]
        if vehicle.trip is Trip.HOME:
            vehicle.trip = Trip.IDLE
            self.drive_state(vehicle, Doing.STARVED)
            self.touch_fleet(vehicle.fleet)
            return
        vehicle.trip = Trip.LOAD if vehicle.trip is Trip.FETCH else Trip.UNLOAD
        self.drive_state(vehicle, Doing.BUSY)
        self.after(vehicle, trips.load if vehicle.trip is Trip.LOAD else trips.unload)

    def loaded(self, vehicle: Vehicle) -> None:
        """The part leaves its place."""
        part = vehicle.part
        assert part is not None and part.booked is not None
        way, _ = part.booked
        place, server = part.place, part.server
        vehicle.trip = Trip.BRING
        self.cross(part, way, -1)
        self.enter(part, place)
        self.depart(part, place, server)
        self.go(vehicle, self.stop_of(vehicle.fleet, way.target))

    def unloaded(self, vehicle: Vehicle) -> None:
        """The part is in its next place."""
        part = vehicle.part
        assert part is not None and part.booked is not None
        way, server = part.booked
        target = self.places[way.target]
        vehicle.part, part.booked = None, None
        self.moved[way.index] += 1
        if not isinstance(target.node, Drain):
            target.reserved -= 1
        self.arrive(part, target, server)
        if server is not None:
            self.start(server)
        vehicle.trip = Trip.IDLE
        self.drive_state(vehicle, Doing.STARVED)
        self.touch_fleet(vehicle.fleet)

    # --- who waits for whom -------------------------------------------------------------------

    def who_drives(self) -> list[tuple[str, str]]:
        """Parts for fleets, and fleets for their own segments."""
        found: list[tuple[str, str]] = []
        for i, fleet in enumerate(self.model.fleets):
            found += [(part.place.node.name, fleet.name) for part in self.calls[i]]
            for zone, segment in zip(self.zones[i], fleet.segments, strict=True):
                name = f"{fleet.name} {segment.source}→{segment.target}"
                for vehicle in zone.queue:
                    found.append((fleet.name, name))
                    if vehicle.zone != NONE:
                        behind = fleet.segments[vehicle.zone]
                        found.append((f"{fleet.name} {behind.source}→{behind.target}", name))
        return found
