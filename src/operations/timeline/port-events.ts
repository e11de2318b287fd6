import { describePort, type ObservedPort, type ObservedSwitch } from '../../../plugin-api/index.ts';
import type { PortRecord } from '../../core/network/port-state.ts';
import { describePlace } from '../../core/rack/wiring.ts';
import type { MachineEvent } from './record-event.ts';

/** What a batch on a switch did to the ports of machines: as they were read before it, and after it. */
export function portEvents(
  records: readonly PortRecord[],
  before: ObservedSwitch,
  after: ObservedSwitch,
  at: number,
): readonly MachineEvent[] {
  return records.flatMap((record): readonly MachineEvent[] => {
    const { machineId, observed } = record;
    if (machineId === null) return [];
    const known = observed && describePort(observed);
    const was = shown(before.ports.get(record.port));
    const is = shown(after.ports.get(record.port));
    const event = { at, machineId, kind: 'port' } as const;
    const place = describePlace(record);
    return [
      ...(known !== null && known !== was
        ? [{ ...event, text: `${place}: not as it was last read`, before: known, after: was }]
        : []),
      ...(was === is
        ? []
        : [{ ...event, text: `${place}: ${purposes[record.purpose]}`, before: was, after: is }]),
    ];
  });
}

const purposes: Readonly<Record<PortRecord['purpose'], string>> = {
  provisioning: 'to the provisioning network',
  tenant: "to the tenant's VLANs",
  park: 'parked',
  fenced: 'shut by a fence',
};

function shown(port: ObservedPort | undefined): string {
  return port ? describePort(port) : 'not there';
}
