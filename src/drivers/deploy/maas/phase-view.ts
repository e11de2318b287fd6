import type { DeviceCode, PhaseProgress } from '../../../../plugin-api/index.ts';
import type { MaasMachine } from './maas-shapes.ts';
import type { OrderNote } from './order-note.ts';

/** What a machine's state in MAAS means for an order. */
export interface PhaseView {
  readonly progress: Omit<PhaseProgress, 'lastSeen'>;
  /** What is to be remembered from now on. */
  readonly note?: OrderNote;
}

/** MAAS is at it; what it last said about the machine tells where. */
export function running(machine: MaasMachine, more = ''): PhaseView {
  return { progress: { state: 'running', activity: activityOf(machine) + more, percent: null } };
}

export function failed(machine: MaasMachine, code: DeviceCode, more = ''): PhaseView {
  const said = [machine.status_name, machine.status_message, machine.error_description, more]
    .filter((text) => text != null && text !== '')
    .join('; ')
    .slice(0, 500);
  return {
    progress: {
      state: 'failed',
      activity: activityOf(machine),
      percent: null,
      error: { code, said: `MAAS says of ${machine.hostname} (${machine.system_id}): ${said}` },
    },
  };
}

function activityOf(machine: MaasMachine): string {
  const message = machine.status_message ? ` - ${machine.status_message.slice(0, 200)}` : '';
  return `MAAS: ${machine.status_name}${message}`;
}
