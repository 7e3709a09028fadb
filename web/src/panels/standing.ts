// How each twin stands, with all that is part of it: its worst quality and its most urgent alarm.

import type { Id, Mirror } from "../mirror.ts";

export interface Stand {
  /** 0 … 3; -1: no active alarm. */
  alarm: number;
  /** 0 good, 1 uncertain, 2 bad. */
  quality: number;
  /** Whether it is the twin's own, not one of its parts'. */
  isOwnAlarm: boolean;
  isOwnQuality: boolean;
}

const WELL: Stand = { alarm: -1, quality: 0, isOwnAlarm: true, isOwnQuality: true };

/** Columns by ordinal: two passes over typed arrays weigh a world of 100,000 twins in milliseconds. */
export class Standing {
  private parentOf = new Int32Array(0);
  /** Ordinals, parts before what they are part of: one pass carries the worst upwards. */
  private order = new Int32Array(0);
  private quality = new Uint8Array(0);
  private ownQuality = new Uint8Array(0);
  private alarm = new Int8Array(0);
  private ownAlarm = new Int8Array(0);
  private readonly worstOfType = new Map<Id, Stand>();

  constructor(private readonly mirror: Mirror) {}

  /** Takes up the structure as it is now. */
  index(): void {
    const { mirror } = this;
    const n = mirror.nOrdinals;
    this.parentOf = new Int32Array(n).fill(-1);
    for (const id of mirror.twins.keys()) {
      const parent = mirror.parent(id);
      if (parent !== undefined) this.parentOf[mirror.ordinal(id)] = mirror.ordinal(parent);
    }
    const order: number[] = [];
    const stack = [...mirror.roots()];
    while (stack.length > 0) {
      const id = stack.pop()!;
      order.push(mirror.ordinal(id));
      for (const child of mirror.children(id)) stack.push(child);
    }
    this.order = Int32Array.from(order.reverse());
    this.quality = new Uint8Array(n);
    this.ownQuality = new Uint8Array(n);
    this.alarm = new Int8Array(n).fill(-1);
    this.ownAlarm = new Int8Array(n).fill(-1);
  }

  /** Weighs all twins by their latest values and conditions; by type too, if `byType` is given. */
  weigh(byType: ReadonlyMap<Id, readonly Id[]> | null): void {
    const { mirror, quality, ownQuality, alarm, ownAlarm, parentOf } = this;
    ownQuality.fill(0);
    ownAlarm.fill(-1);
    const { pointTwin, timeMs } = mirror;
    for (let handle = 0; handle < mirror.nPoints; handle++) {
      if (!(timeMs[handle]! > 0)) continue; // no value yet: nothing to be judged
      const severity = mirror.severity(handle);
      const twin = pointTwin[handle]!;
      if (severity > ownQuality[twin]!) ownQuality[twin] = severity;
    }
    for (const event of mirror.alarms()) {
      const ordinal = mirror.ordinal(event.twin);
      const severity = event.severity ?? 0;
      if (ordinal >= 0 && severity > ownAlarm[ordinal]!) ownAlarm[ordinal] = severity;
    }
    this.worstOfType.clear();
    for (const [type, ids] of byType ?? []) {
      const worst = { ...WELL };
      for (const id of ids) {
        const ordinal = mirror.ordinal(id);
        worst.quality = Math.max(worst.quality, ownQuality[ordinal]!);
        worst.alarm = Math.max(worst.alarm, ownAlarm[ordinal]!);
      }
      this.worstOfType.set(type, worst);
    }
    quality.set(ownQuality);
    alarm.set(ownAlarm);
    for (const ordinal of this.order) {
      const parent = parentOf[ordinal]!;
      if (parent < 0) continue;
      if (quality[ordinal]! > quality[parent]!) quality[parent] = quality[ordinal]!;
      if (alarm[ordinal]! > alarm[parent]!) alarm[parent] = alarm[ordinal]!;
    }
  }

  of(id: Id): Stand {
    const ordinal = this.mirror.ordinal(id);
    if (ordinal < 0 || ordinal >= this.alarm.length) return WELL;
    const alarm = this.alarm[ordinal]!;
    const quality = this.quality[ordinal]!;
    return { alarm, quality, isOwnAlarm: this.ownAlarm[ordinal] === alarm, isOwnQuality: this.ownQuality[ordinal] === quality };
  }

  ofType(type: Id): Stand {
    return this.worstOfType.get(type) ?? WELL;
  }
}
