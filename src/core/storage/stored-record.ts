import type { JsonObject } from '../../../plugin-api/index.ts';

/**
 * Kinds of things that MAAS clients make, name and number, and that are no machine of ours; and what a deploy engine remembers of
 * its order for a machine, whose owner is that machine.
 */
export const recordKinds = [
  'fabric',
  'vlan',
  'subnet',
  'space',
  'ip-range',
  'static-route',
  'ip-address',
  'zone',
  'domain',
  'dns-resource',
  'dns-record',
  'tag',
  'device',
  'file',
  'ssh-key',
  'rack-controller',
  'boot-resource',
  'boot-source',
  'boot-selection',
  'package-repository',
  'dhcp-snippet',
  'license-key',
  'reserved-ip',
  'ssl-key',
  'setting',
  'event',
  'engine-order',
] as const;

export type RecordKind = (typeof recordKinds)[number];

/** One such thing: what it says is its body, as the api folder that owns the kind reads and writes it. */
export interface StoredRecord {
  readonly kind: RecordKind;
  /** Unique within the kind, from 1, never used again. */
  readonly id: number;
  /** Unique within the kind; null = it has none. */
  readonly name: string | null;
  /** Name of the principal it belongs to; null = everybody's. */
  readonly owner: string | null;
  readonly body: JsonObject;
  readonly version: number;
}
