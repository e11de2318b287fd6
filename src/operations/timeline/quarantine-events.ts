import type { MachineId } from '../../core/machine/machine.ts';
import { placeOfPort, type Subject } from '../../core/quarantine/quarantine.ts';
import type { Tx } from '../../core/storage/storage.ts';
import { recordEvent } from './record-event.ts';

/** That a machine, its BMC or one of its ports goes into quarantine, or comes out of it, and who says so. */
export interface QuarantineChange {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly entered: boolean;
  readonly code: string;
  readonly reason: string;
  /** Principal, or `csbm`. */
  readonly by: string;
}

/** Records it for the machine that it is about; that of a switch is about none. */
export async function recordQuarantine(tx: Tx, subject: Subject, change: QuarantineChange): Promise<void> {
  const machineId = await machineOf(tx, subject);
  if (machineId === null) return;
  const { at, entered, code, reason, by } = change;
  const what = subject.kind === 'port' ? `port ${subject.name}` : subject.kind;
  await recordEvent(tx, {
    at,
    machineId,
    kind: 'quarantine',
    text: `${what} ${entered ? 'goes into' : 'comes out of'} quarantine [${code}], says ${by}: ${reason}`,
    before: entered ? 'free' : 'quarantine',
    after: entered ? 'quarantine' : 'free',
  });
}

async function machineOf(tx: Tx, { kind, name }: Subject): Promise<MachineId | null> {
  if (kind === 'machine' || kind === 'bmc') return name as MachineId;
  if (kind === 'switch') return null;
  const { switch: at, port } = placeOfPort(name);
  return (await tx.ports.find(at, port))?.machineId ?? null;
}
