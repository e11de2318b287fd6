import type { ParsedEntry } from '../body.ts';
import { flagField, textField } from '../gson-reader.ts';
import { readVirtualMachine } from './virtual-machine.ts';

export const stopCommandClass = 'com.cloud.agent.api.StopCommand';

export interface StopCommand {
  readonly vmName: string | null;
  /** Known only when the server sends the VM along. */
  readonly id: string | null;
  readonly uuid: string | null;
  readonly forceStop: boolean;
  /** The instance is being expunged: the machine is to be released (4.21+). */
  readonly expungeVM: boolean;
}

export function readStopCommand(entry: ParsedEntry): StopCommand {
  const vm = readVirtualMachine(entry);
  return {
    vmName: textField(entry.fields, 'vmName') ?? vm?.name ?? null,
    id: vm?.id ?? null,
    uuid: vm?.uuid ?? null,
    forceStop: flagField(entry.fields, 'forceStop'),
    expungeVM: flagField(entry.fields, 'expungeVM'),
  };
}
