import { destroy } from '../../src/operations/destroy.ts';
import { erase } from '../../src/operations/erase.ts';
import type { StepList } from '../../src/operations/journal/step.ts';
import { plugNic } from '../../src/operations/nics.ts';
import { reboot } from '../../src/operations/reboot.ts';
import { startFirst, startKnown } from '../../src/operations/start.ts';
import { stop } from '../../src/operations/stop.ts';
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
}

export interface FaultPlan {
  readonly kind: FaultKind;
  /** Index of the machine that it concerns. */
  readonly machine: number;
  readonly from: number;
  readonly lasts: number;
  /** What the kind itself draws from. */
  readonly draw: Draw;
}

export type Kill =
  | { readonly at: 'moment'; readonly from: number; readonly pause: number }
  | { readonly at: 'boundary'; readonly boundary: string; readonly from: number; readonly pause: number };

/** Everything that one run draws. */
export interface RunPlan {
  readonly instances: readonly InstancePlan[];
  readonly faults: readonly FaultPlan[];
  readonly kills: readonly Kill[];
}

/** Faults begin within so many milliseconds, and last at most so many. */
const faultsWithin = 5_000;
const longestFault = 4_000;

export interface PlanOptions {
  readonly machines: number;
  readonly store: 'sqlite' | 'mariadb';
  readonly engine: 'native' | 'maas';
  readonly kinds: readonly FaultKind[];
}

export function drawRun(draw: Draw, options: PlanOptions): RunPlan {
  const instances: InstancePlan[] = [];
  const count = draw.chance(0.35) ? 2 : 1;
  for (let n = 0; n < count; n += 1) instances.push(drawInstance(draw.sub(), n, options.machines));
  const faults = drawFaults(draw.sub(), instances, options);
  return { instances, faults, kills: drawKills(draw.sub()) };
}

function drawInstance(draw: Draw, n: number, machines: number): InstancePlan {
  const line = (ask: Ask, more: Partial<Line> = {}): Line => ({
    ask,
    meanwhile: false,
    after: draw.int(0, 400),
    elsewhere: false,
    repeat: draw.chance(0.7),
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
  };
}

function drawFaults(
  draw: Draw,
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
    const { machine } = draw.pick(instances);
    const from = draw.int(0, faultsWithin);
    const lasts = draw.chance(0.3) ? draw.int(10, 400) : draw.int(400, longestFault);
    const sub = draw.sub();
    const unfit = chosen.some(
      (other) =>
        kind.not?.includes(other.kind.name) ||
        other.kind.not?.includes(kind.name) ||
        (other.kind === kind && other.machine === machine),
    );
    if (!unfit) chosen.push({ kind, machine, from, lasts, draw: sub });
  }
  return chosen;
}

const boundaries = [startFirst, startKnown, stop, reboot, destroy, erase, plugNic].flatMap((list) =>
  boundariesOf(list as StepList),
);

/** Right after each intent, after each effect before its outcome is written, and after each intent to undo. */
function boundariesOf(list: StepList): string[] {
  return list.steps.flatMap((step) => [
    `${list.name}:${step.name}:intent`,
    `${list.name}:${step.name}:effect`,
    ...('none' in step.undo ? [] : [`${list.name}:undo ${step.name}:intent`]),
  ]);
}

const likely = boundariesOf(startFirst as StepList).filter((name) => !name.includes('undo'));

function drawKills(draw: Draw): readonly Kill[] {
  const count = draw.weighted([
    [3, 0],
    [5, 1],
    [2, 2],
    [1, 3],
  ]);
  return Array.from({ length: count }, (): Kill => {
    const from = draw.int(0, faultsWithin);
    const pause = draw.chance(0.7) ? 0 : draw.int(0, 1_500);
    return draw.chance(0.5)
      ? { at: 'moment', from, pause }
      : {
          at: 'boundary',
          boundary: draw.pick(draw.chance(0.5) ? likely : boundaries),
          from: Math.floor(from / 3),
          pause,
        };
  });
}
