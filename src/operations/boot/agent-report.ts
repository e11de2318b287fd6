import type { Inventory } from '../../../plugin-api/index.ts';
import type { EraseReport } from '../../core/machine/erase-evidence.ts';

/** What the agent says between order and result (docs/boot-protocol.md section 2). */
export interface AgentProgress {
  readonly activity: string;
  /** 0 to 100, or null when unknown. */
  readonly percent: number | null;
}

export interface DeployReport {
  readonly disk: string;
  readonly serial: string;
  /** Of the stored file, as computed from the wire; hex. */
  readonly sha256: string;
  readonly rawBytes: number;
  readonly seconds: number;
}

/** Why the agent failed, in its own words. */
export type AgentErrorCode = 'checksum' | 'no-disk' | 'disk-missing' | 'write' | 'fetch' | 'erase' | 'agent';

/** How the agent ended (docs/boot-protocol.md section 4). */
export type AgentResult =
  | {
      readonly ok: true;
      readonly inventory?: Inventory | undefined;
      readonly deploy?: DeployReport | undefined;
      readonly erase?: EraseReport | undefined;
    }
  | { readonly ok: false; readonly error: { readonly code: AgentErrorCode; readonly said: string } };
