import type { ParsedEntry } from '../body.ts';
import { longField } from '../gson-reader.ts';
import { readAnswer } from './answer.ts';

export interface StartupAnswer {
  readonly result: boolean;
  readonly details: string | null;
  /** Zero in the first answer of a link: the id comes with ReadyCommand. */
  readonly hostId: bigint;
  /** Seconds between pings; 0 when the server did not say. */
  readonly pingInterval: number;
}

export function readStartupAnswer(entry: ParsedEntry): StartupAnswer {
  return {
    ...readAnswer(entry),
    hostId: longField(entry.fields, 'hostId') ?? 0n,
    pingInterval: Number(longField(entry.fields, 'pingInterval') ?? 0n),
  };
}
