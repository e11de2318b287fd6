import type { Image } from '../../core/image/image.ts';
import type { Pool } from '../../core/machine/pool.ts';
import type { StoredRecord } from '../../core/storage/stored-record.ts';
import type { Tx } from '../../core/storage/storage.ts';
import { NetworkLookup, networkKinds } from './network-lookup.ts';
import { apiRoot } from './shapes/resource-uri.ts';

export interface ZoneJson {
  readonly id: number;
  readonly name: string;
  readonly description: string;
  readonly resource_uri: string;
}

export interface DomainJson {
  readonly id: number;
  readonly name: string;
  readonly ttl: number | null;
  readonly authoritative: boolean;
  readonly resource_record_count: number;
  readonly is_default: boolean;
  readonly resource_uri: string;
}

/** What machines have in common: zones, pools, domains, images and the network, read once for a request. */
export class Surroundings {
  readonly network: NetworkLookup;
  readonly #zones: ReadonlyMap<string, ZoneJson>;
  readonly #pools: ReadonlyMap<string, ZoneJson>;
  readonly #domains: ReadonlyMap<string, DomainJson>;
  readonly #images: ReadonlyMap<string, Pick<Image, 'name' | 'aliases'>>;

  constructor(parts: {
    readonly network: NetworkLookup;
    readonly zones: readonly StoredRecord[];
    readonly pools: readonly Pick<Pool, 'id' | 'name' | 'description'>[];
    readonly domains: readonly StoredRecord[];
    readonly images: readonly Pick<Image, 'name' | 'aliases'>[];
  }) {
    this.network = parts.network;
    this.#zones = new Map(
      parts.zones.map(({ id, name, body }) => [name ?? '', zone(id, name ?? '', text(body['description']))]),
    );
    this.#pools = new Map(
      parts.pools.map(({ id, name, description }) => [name, pool(id, name, description)]),
    );
    this.#domains = new Map(parts.domains.map((record) => [record.name ?? '', domain(record)]));
    this.#images = new Map(parts.images.map((image) => [image.name, image]));
  }

  static async read(tx: Tx): Promise<Surroundings> {
    const records = await tx.records.ofKinds([...networkKinds, 'zone', 'domain']);
    return new Surroundings({
      network: NetworkLookup.of(records),
      zones: records.filter(({ kind }) => kind === 'zone'),
      pools: await tx.pools.list(),
      domains: records.filter(({ kind }) => kind === 'domain'),
      images: await tx.images.list(),
    });
  }

  hasZone(name: string): boolean {
    return this.#zones.has(name) || name === 'default';
  }

  zone(name: string): ZoneJson {
    return this.#zones.get(name) ?? zone(0, name, '');
  }

  pool(name: string): ZoneJson {
    return this.#pools.get(name) ?? pool(0, name, '');
  }

  hasDomain(name: string): boolean {
    return this.#domains.has(name) || name === 'maas';
  }

  domain(name: string): DomainJson {
    return (
      this.#domains.get(name) ?? {
        id: 0,
        name,
        ttl: null,
        authoritative: true,
        resource_record_count: 0,
        is_default: name === 'maas',
        resource_uri: `${apiRoot}/domains/0/`,
      }
    );
  }

  /** An image in MAAS's two words: `ubuntu` and `jammy` of one that is also called `ubuntu/jammy`, else `custom` and its name. */
  system(image: string): { readonly osystem: string; readonly distro_series: string } {
    const names = [image, ...(this.#images.get(image)?.aliases ?? [])];
    for (const name of names) {
      const match = /^([a-z0-9-]+)\/([a-zA-Z0-9._-]+)$/.exec(name);
      if (match) return { osystem: match[1]!, distro_series: match[2]! };
    }
    return { osystem: 'custom', distro_series: image };
  }
}

function zone(id: number, name: string, description: string): ZoneJson {
  return { id, name, description, resource_uri: `${apiRoot}/zones/${encodeURIComponent(name)}/` };
}

function pool(id: number, name: string, description: string): ZoneJson {
  return { id, name, description, resource_uri: `${apiRoot}/resourcepool/${id}/` };
}

function domain({ id, name, body }: StoredRecord): DomainJson {
  return {
    id,
    name: name ?? '',
    ttl: typeof body['ttl'] === 'number' ? body['ttl'] : null,
    authoritative: body['authoritative'] !== false,
    resource_record_count: 0,
    is_default: body['is_default'] === true,
    resource_uri: `${apiRoot}/domains/${id}/`,
  };
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
