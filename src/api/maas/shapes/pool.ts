import { apiRoot } from './resource-uri.ts';

export interface PoolJson {
  readonly id: number;
  readonly name: string;
  readonly description: string;
  readonly resource_uri: string;
}

/** A pool as MAAS tells it; one that nobody has described has no number, and is found by its name. */
export function poolJson(pool: {
  readonly id: number | null;
  readonly name: string;
  readonly description: string;
}): PoolJson {
  const { id, name, description } = pool;
  return {
    id: id ?? 0,
    name,
    description,
    resource_uri: `${apiRoot}/resourcepool/${id || encodeURIComponent(name)}/`,
  };
}
