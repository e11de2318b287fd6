import type { ParsedEntry } from '../body.ts';
import { longField, textField } from '../gson-reader.ts';

export const readyCommandClass = 'com.cloud.agent.api.ReadyCommand';

export interface ReadyCommand {
  readonly hostId: bigint | null;
  /** Set when the server refuses the host: why. Such a command takes no answer. */
  readonly refusal: string | null;
}

export function readReadyCommand(entry: ParsedEntry): ReadyCommand {
  return { hostId: longField(entry.fields, 'hostId'), refusal: textField(entry.fields, '_details') };
}
