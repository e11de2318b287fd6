import type { JsonObject, JsonValue } from '../../../plugin-api/index.ts';
import type { Interface } from '../../core/network/interface.ts';
import type { StoredRecord } from '../../core/storage/stored-record.ts';
import { defaultDomain, defaultZone } from '../../operations/default-records.ts';

/** A device: something with addresses that is no machine of ours, a container on one for example. Its record's name is its system id. */
export interface Device {
  readonly systemId: string;
  readonly hostname: string;
  readonly description: string;
  /** Name of the domain. */
  readonly domain: string;
  /** Name of the zone. */
  readonly zone: string;
  /** System id of the machine or device it is on; empty = none. */
  readonly parent: string;
  readonly owner: string | null;
  readonly ownerData: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
  readonly interfaces: readonly Interface[];
}

export function toDevice({ name, body }: StoredRecord): Device {
  const text = (key: string, missing = ''): string => {
    const value = body[key];
    return typeof value === 'string' && value !== '' ? value : missing;
  };
  return {
    systemId: name ?? '',
    hostname: text('hostname'),
    description: text('description'),
    domain: text('domain', defaultDomain),
    zone: text('zone', defaultZone),
    parent: text('parent'),
    owner: text('owner') || null,
    ownerData: (body['owner_data'] ?? {}) as Readonly<Record<string, string>>,
    tags: (body['tags'] ?? []) as readonly string[],
    interfaces: (body['interfaces'] ?? []) as unknown as readonly Interface[],
  };
}

/** The body of a device with other interfaces. */
export function withInterfaces(body: JsonObject, interfaces: readonly Interface[]): JsonObject {
  return { ...body, interfaces: interfaces as unknown as JsonValue };
}
