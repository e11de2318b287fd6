import type { JsonObject } from '../../../plugin-api/index.ts';

/**
 * `alive` = takes work; `draining` = gives its work away, then ends; `gone` = ended, or silent for too long: it can store nothing
 * any more.
 */
export type InstanceState = 'alive' | 'draining' | 'gone';

/** One csbm process on the database, from its start to its end. */
export interface InstanceRecord {
  readonly id: string;
  /** For people: the host, and the process there. */
  readonly name: string;
  readonly version: string;
  /** Where its admin API is reached; null until it serves. */
  readonly adminUrl: string | null;
  /** Which process it is, for whoever runs on the same host: `ProcessIdentity` as text. */
  readonly process: string;
  readonly state: InstanceState;
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** Why it is gone. */
  readonly reason: string | null;
}

/** An instance that is not gone, and how often it has said so. */
export type LivingInstance = InstanceRecord & { readonly beat: number };

/** `machine:<id>`, `switch:<name>`, or the name of something that runs once. */
export type LeaseKind = 'machine' | 'switch' | 'single';

/** Which instance has something to itself. */
export interface LeaseRecord {
  readonly name: string;
  readonly kind: LeaseKind;
  /** Null = free. */
  readonly owner: string | null;
  /** The last owner did not give it back: what it had sent to the device may still take effect. */
  readonly lost: boolean;
  /** Grows when another instance has something to tell the owner: the machine's record has changed. */
  readonly notes: number;
}

/** What one instance asks of the one that holds a switch or a machine. */
export interface DeviceRequest {
  readonly id: string;
  /** Name of the lease: `switch:<name>`, `machine:<id>`. */
  readonly device: string;
  /** Who waits for the outcome. */
  readonly instanceId: string;
  readonly kind: 'settle' | 'observe' | 'power';
  readonly body: JsonObject;
  readonly state: 'waiting' | 'over';
  readonly outcome: JsonObject | null;
  readonly createdAt: number;
}
