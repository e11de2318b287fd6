import type { SessionKeys } from '../../../wire/rmcp/session-keys.ts';

/** What a finished set-up leaves. */
export interface SessionSecrets {
  readonly clientId: number;
  readonly bmcId: number;
  readonly keys: SessionKeys;
}
