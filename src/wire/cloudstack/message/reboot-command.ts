import type { ParsedEntry } from '../body.ts';
import { textField } from '../gson-reader.ts';
import { readVirtualMachine } from './virtual-machine.ts';

export const rebootCommandClass = 'com.cloud.agent.api.RebootCommand';

/** Which instance a `RebootCommand`, or a command that extends it, is about; the VM comes along from 4.14 on. */
export interface RebootCommand {
  readonly vmName: string | null;
  readonly id: string | null;
  readonly uuid: string | null;
}

export function readRebootCommand(entry: ParsedEntry): RebootCommand {
  const vm = readVirtualMachine(entry);
  return {
    vmName: textField(entry.fields, 'vmName') ?? vm?.name ?? null,
    id: vm?.id ?? null,
    uuid: vm?.uuid ?? null,
  };
}
