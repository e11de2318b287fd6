import type { ParsedEntry } from '../body.ts';
import { objectField, textField } from '../gson-reader.ts';
import { readNic, type NicTo } from './virtual-machine.ts';

export const plugNicCommandClass = 'com.cloud.agent.api.PlugNicCommand';
export const unPlugNicCommandClass = 'com.cloud.agent.api.UnPlugNicCommand';

/** `PlugNicCommand` and `UnPlugNicCommand` carry the same two things. */
export interface NicCommand {
  readonly instanceName: string | null;
  readonly nic: NicTo | null;
}

export function readNicCommand(entry: ParsedEntry): NicCommand {
  const nic = objectField(entry.fields, 'nic');
  return { instanceName: textField(entry.fields, 'instanceName'), nic: nic && readNic(nic) };
}
