import type { BootOrder, DeployPhase } from '../../../plugin-api/index.ts';
import type { MachineId } from '../../core/machine/machine.ts';
import type { MachineEvent } from './record-event.ts';

/** How far a phase is, as far as its timeline goes into it. */
export interface PhasePoint {
  readonly activity: string;
  readonly percent: number | null;
}

/** What one phase tells at most, whatever whoever works there reports. */
const most = 40;

/** Which of the reports of one phase are worth telling: a new activity, and each quarter of its way. */
export class PhasePoints {
  #told = 0;
  #last: PhasePoint | null = null;

  isNew(point: PhasePoint): boolean {
    const last = this.#last;
    const known = last !== null && last.activity === point.activity && quarter(point) <= quarter(last);
    return !known && this.#told < most;
  }

  /** This one was told. */
  told(point: PhasePoint): void {
    this.#last = point;
    this.#told += 1;
  }
}

function quarter({ percent }: PhasePoint): number {
  return percent === null ? -1 : Math.floor(percent / 25);
}

/** An event of the order of a phase, whose id is that of its operation, a colon and the phase. */
export function engineEvent(
  order: Pick<BootOrder, 'id' | 'machineId'> & { readonly phase: DeployPhase },
  text: string,
  at: number,
): MachineEvent {
  const colon = order.id.indexOf(':');
  return {
    at,
    machineId: order.machineId as MachineId,
    operationId: colon > 0 ? order.id.slice(0, colon) : undefined,
    kind: 'engine',
    text: `${order.phase}: ${text}`,
  };
}

export function describePoint({ activity, percent }: PhasePoint): string {
  return percent === null ? activity : `${activity}, ${Math.round(percent)} %`;
}
