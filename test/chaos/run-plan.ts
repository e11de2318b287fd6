import { destroy } from '../../src/operations/destroy.ts';
import { erase } from '../../src/operations/erase.ts';
import type { StepList } from '../../src/operations/journal/step.ts';
import { plugNic, unplugNic } from '../../src/operations/nics.ts';
import { reboot } from '../../src/operations/reboot.ts';
import { startFirst, startKnown } from '../../src/operations/start.ts';
import { stop } from '../../src/operations/stop.ts';
import { stepBoundaries } from '../support/step-boundaries.ts';
import type { Draw } from './draw.ts';
import type { FaultKind } from './fault.ts';

/** What the cloud may ask for an instance. */
export type Ask = 'start' | 'stop' | 'destroy' | 'expunge' | 'reboot' | 'plug' | 'unplug';

export interface Line {
  readonly ask: Ask;
  /** Sent while the one before is not answered yet; otherwise after its answer. */
  readonly meanwhile: boolean;
  /** Milliseconds after the one before was sent, or answered. */
  readonly after: number;
  /** Of a Start: on another machine than the last one. */
  readonly elsewhere: boolean;
  /** Sent again, with a new sequence number, when the link was lost before the answer. */
  readonly repeat: boolean;
  /** Sent again, with a new sequence number, after it was answered. */
  readonly again: boolean;
}

export interface InstancePlan {
  readonly tenant: 'red' | 'blue';
  /** Index of the machine of its first Start. */
  readonly machine: number;
  /** Milliseconds from the begin of the run. */
  readonly from: number;
  readonly lines: readonly Line[];
  /** What becomes of it when all faults are gone. */
  readonly wish: 'run' | 'stop' | 'destroy';
  /** What it is asked in the end is asked twice. */
  readonly twice: boolean;
}

/** What a user of the MAAS API may do; `poach` = try what it can on machines that CloudStack hands out. */
export type UserAsk = 'allocate' | 'deploy' | 'power' | 'release' | 'poach';

export interface UserPlan {
  /** Milliseconds from the begin of the run. */
  readonly from: number;
  /** A VLAN on the bond besides its untagged one. */
  readonly further: boolean;
  /** One after the other, `meanwhile` = while the one before goes on. */
  readonly lines: readonly { readonly ask: UserAsk; readonly meanwhile: boolean; readonly after: number }[];
  /** What becomes of its machine when all faults are gone. */
  readonly wish: 'deploy' | 'release';
}

export interface FaultPlan {
  readonly kind: FaultKind;
  /** Index of the machine that it concerns. */
  readonly machine: number;
  readonly from: number;
  /** It begins so many milliseconds after this command was sent for the first time, and not before; null = after the begin of the run. */
  readonly after: Ask | null;
  readonly lasts: number;
  /** What the kind itself draws from. */
  readonly draw: Draw;
}

export type Kill =
  | { readonly at: 'moment'; readonly instance: number; readonly from: number; readonly pause: number }
  | { readonly at: 'boundary'; readonly boundary: string; readonly from: number; readonly pause: number };

/** An instance stands still for a while, perhaps past its lease. */
export interface Freeze {
  readonly instance: number;
  readonly from: number;
  readonly lasts: number;
  /** Not this instance at that moment, but whoever gives a device the n-th command from then on; null = the moment. */
  readonly at: { readonly device: 'switch' | 'power'; readonly nth: number } | null;
}

/** Everything that one run draws. */
export interface RunPlan {
  readonly instances: readonly InstancePlan[];
  readonly users: readonly UserPlan[];
  readonly faults: readonly FaultPlan[];
  readonly kills: readonly Kill[];
  /** Only where there are several instances: another one goes on meanwhile. */
  readonly freezes: readonly Freeze[];
}

/** Faults begin within so many milliseconds, and last at most so many. */
const faultsWithin = 5_000;
const longestFault = 4_000;
/** The service tries three times for three seconds to switch a machine off before it fences it. */
const patience = 10_000;

export interface PlanOptions {
  /** Machines that CloudStack hands out. */
  readonly machines: number;
  /** Users of the MAAS API, for whom there is one machine more. */
  readonly users: number;
  /** Of the service. */
  readonly instances: number;
  readonly store: 'sqlite' | 'mariadb';
  readonly engine: 'native' | 'maas';
  readonly kinds: readonly FaultKind[];
}

export function drawRun(draw: Draw, options: PlanOptions): RunPlan {
  const instances: InstancePlan[] = [];
  const count = draw.chance(0.35) ? 2 : 1;
  for (let n = 0; n < count; n += 1) instances.push(drawInstance(draw.sub(), n, options.machines));
  const users = drawUsers(draw.sub(), options.users);
  const targets = [...instances.map(({ machine }) => machine), ...users.map(() => options.machines)];
  const faults = drawFaults(draw.sub(), targets, instances, options);
  const kills = drawKills(draw.sub(), instances);
  const freezes = options.instances > 1 ? drawFreezes(draw.sub(), options.instances) : [];
  return { instances, users, faults, kills, freezes };
}

function drawFreezes(draw: Draw, instances: number): readonly Freeze[] {
  return Array.from(
    {
      length: draw.weighted([
        [2, 0],
        [3, 1],
        [1, 2],
      ]),
    },
    () => ({
      instance: draw.int(0, instances - 1),
      from: draw.int(0, faultsWithin),
      // The lease of the stage is six seconds.
      lasts: draw.chance(0.5) ? draw.int(100, 3_000) : draw.int(7_500, 12_000),
      // Who stands still at any moment is rarely at a device just then, and then there is nothing that it could be late with.
      at: draw.chance(0.6) ? { device: draw.chance(0.7) ? 'switch' : 'power', nth: draw.int(1, 24) } : null,
    }),
  );
}

function drawUsers(draw: Draw, most: number): readonly UserPlan[] {
  const count = Math.min(
    most,
    draw.weighted([
      [5, 0],
      [4, 1],
      [2, 2],
    ]),
  );
  return Array.from({ length: count }, (_, n): UserPlan => {
    const line = (ask: UserAsk, meanwhile = false): UserPlan['lines'][number] => ({
      ask,
      meanwhile,
      after: meanwhile ? draw.int(20, 2_500) : draw.int(0, 300),
    });
    const life = draw.weighted<() => UserPlan['lines']>([
      [3, () => [line('allocate'), line('deploy'), line('release')]],
      [2, () => [line('allocate'), line('deploy'), line('power'), line('release')]],
      [2, () => [line('allocate'), line('deploy'), line('release', true)]],
      [2, () => [line('allocate'), line('release'), line('allocate'), line('deploy')]],
      [2, () => [line('allocate'), line('deploy')]],
      [1, () => [line('poach'), line('allocate'), line('deploy'), line('poach')]],
    ])();
    return {
      from: draw.int(0, n === 0 ? 1_000 : 3_000),
      further: draw.chance(0.4),
      lines: life,
      wish: draw.chance(0.5) ? 'deploy' : 'release',
    };
  });
}

function drawInstance(draw: Draw, n: number, machines: number): InstancePlan {
  const line = (ask: Ask, more: Partial<Line> = {}): Line => ({
    ask,
    meanwhile: false,
    after: draw.int(0, 400),
    elsewhere: false,
    repeat: draw.chance(0.7),
    again: draw.chance(0.25),
    ...more,
  });
  const meanwhile = (ask: Ask, most = 3_000): Line =>
    line(ask, { meanwhile: true, after: draw.int(20, most) });
  const life = draw.weighted<() => Line[]>([
    [3, () => [line('start')]],
    [3, () => [line('start'), line('stop'), line('start')]],
    [2, () => [line('start'), line('reboot')]],
    [2, () => [line('start'), line('plug'), ...(draw.chance(0.5) ? [line('unplug')] : [])]],
    [3, () => [line('start'), line(draw.chance(0.7) ? 'destroy' : 'expunge')]],
    [3, () => [line('start'), meanwhile(draw.pick(['stop', 'destroy', 'expunge']))]],
    [2, () => [line('start'), meanwhile('start'), ...(draw.chance(0.4) ? [meanwhile('start', 500)] : [])]],
    [1, () => [line('start'), meanwhile('stop'), meanwhile('start', 500)]],
    [2, () => [line('start'), line('start', { elsewhere: true })]],
    [1, () => [line('start'), line('stop'), meanwhile('stop', 300), line('destroy')]],
    [1, () => [line('start'), line('destroy'), meanwhile('destroy', 1_500)]],
    [1, () => [line('start'), line('reboot'), meanwhile('stop', 500)]],
    [1, () => [line('start'), line('stop'), line('start'), line('plug'), line('stop'), line('destroy')]],
  ])();
  return {
    tenant: n === 0 ? 'red' : 'blue',
    // Now and then both want the same machine.
    machine: n === 0 ? draw.int(0, machines - 1) : draw.int(0, machines - 1),
    from: n === 0 ? 0 : draw.int(0, 2_000),
    lines: life,
    wish: draw.weighted([
      [3, 'run'],
      [1, 'stop'],
      [3, 'destroy'],
    ]),
    twice: draw.chance(0.5),
  };
}

function drawFaults(
  draw: Draw,
  machines: readonly number[],
  instances: readonly InstancePlan[],
  { kinds, store, engine }: PlanOptions,
): readonly FaultPlan[] {
  const fit = kinds.filter(
    ({ needs }) => needs === undefined || needs === store || (needs === 'maas' && engine === 'maas'),
  );
  const chosen: FaultPlan[] = [];
  const wanted = draw.weighted([
    [1, 0],
    [4, 1],
    [4, 2],
    [3, 3],
    [1, 5],
  ]);
  for (let n = 0; n < wanted; n += 1) {
    const kind = draw.weighted(fit.map((one) => [one.weight, one] as const));
    const machine = draw.pick(machines);
    // A machine that runs meets few faults that begin at any time: most of that is its Start's.
    const asked = instances.filter((one) => one.machine === machine).flatMap(({ lines }) => lines.slice(1));
    const line = asked.length > 0 && draw.chance(0.4) ? draw.pick(asked) : null;
    const from = line ? draw.int(0, 300) : draw.int(0, faultsWithin);
    const usual = draw.chance(0.3) ? draw.int(10, 400) : draw.int(400, longestFault);
    const lasts = kind.lasting && draw.chance(line ? 0.7 : 0.35) ? patience + usual : usual;
    const sub = draw.sub();
    const unfit = chosen.some(
      (other) =>
        kind.not?.includes(other.kind.name) ||
        other.kind.not?.includes(kind.name) ||
        (other.kind === kind && other.machine === machine),
    );
    if (!unfit) chosen.push({ kind, machine, from, after: line?.ask ?? null, lasts, draw: sub });
  }
  return chosen;
}

const boundaries: Readonly<Record<Ask, readonly string[]>> = {
  start: [startFirst, startKnown, erase].flatMap((list) => boundariesOf(list as StepList)),
  stop: boundariesOf(stop as StepList),
  destroy: boundariesOf(destroy as StepList),
  expunge: boundariesOf(destroy as StepList),
  reboot: boundariesOf(reboot),
  plug: boundariesOf(plugNic as StepList),
  unplug: boundariesOf(unplugNic as StepList),
};

/** Right after each intent, after each effect before its outcome is written, and after each intent to undo. */
function boundariesOf(list: StepList): string[] {
  return list.steps.flatMap((step) => [
    ...stepBoundaries(list, step),
    // Where a blind repetition does harm it is looked at more closely.
    ...Array.from({ length: step.kind === 'at-most-once' ? 3 : 0 }, () => `${list.name}:${step.name}:effect`),
    ...('none' in step.undo ? [] : [`${list.name}:undo ${step.name}:intent`]),
  ]);
}

const likely = boundariesOf(startFirst as StepList).filter((name) => !name.includes('undo'));

/** Boundaries that the history may come to: those of others would never be met. */
function drawKills(draw: Draw, instances: readonly InstancePlan[]): readonly Kill[] {
  const count = draw.weighted([
    [3, 0],
    [5, 1],
    [2, 2],
    [1, 3],
  ]);
  const asked = new Set(instances.flatMap(({ lines }) => lines.map(({ ask }) => ask)));
  // The Start comes in every history, and has the most boundaries: the others get their share.
  const others = [...asked].filter((ask) => ask !== 'start');
  const near = others.length > 0 && draw.chance(0.6) ? others : [...asked];
  return Array.from({ length: count }, (): Kill => {
    const from = draw.int(0, faultsWithin);
    const pause = draw.chance(0.7) ? 0 : draw.int(0, 1_500);
    return draw.chance(0.5)
      ? { at: 'moment', instance: draw.int(0, 2), from, pause }
      : {
          at: 'boundary',
          boundary: draw.pick(draw.chance(0.35) ? likely : boundaries[draw.pick(near)]),
          from: Math.floor(from / 3),
          pause,
        };
  });
}
