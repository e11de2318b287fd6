import type { BootOrder, Evidence, Inventory } from '../../../plugin-api/index.ts';

/**
 * `placed` = known but handed to nobody; `armed` = we powered the machine on and wait for its boot; `asked` = the token is
 * out; `running` = the agent reported; `contested` = a second asker came.
 */
export type BootState =
  'placed' | 'armed' | 'asked' | 'running' | 'done' | 'failed' | 'contested' | 'withdrawn';

/** States of an order under which something may still come. */
export const ongoing: readonly BootState[] = ['placed', 'armed', 'asked', 'running'];

/** One boot conversation: order, token, progress, result. */
export interface BootRecord {
  readonly order: BootOrder;
  readonly state: BootState;
  /** SHA-256 of the boot token, hex; null until it is given. */
  readonly tokenHash: string | null;
  readonly armedAt: number | null;
  /** Address and MAC of the asker who got the token, for the records. */
  readonly asker: string | null;
  readonly activity: string;
  readonly percent: number | null;
  /** Epoch milliseconds of the last sign of life. */
  readonly lastSeen: number | null;
  readonly evidence: Evidence | null;
  readonly inventory: Inventory | null;
  readonly error: { readonly code: string; readonly said: string } | null;
  readonly version: number;
}
