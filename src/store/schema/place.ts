import { foreignKey, key, string, table } from './columns.ts';

/** A lab or data centre. */
export interface SiteRow {
  name: string;
}

/** One CloudStack. */
export interface CloudRow {
  name: string;
}

export interface ZoneRow {
  cloud: string;
  name: string;
}

export interface PodRow {
  cloud: string;
  zone: string;
  name: string;
}

export interface ClusterRow {
  cloud: string;
  zone: string;
  pod: string;
  name: string;
}

export const siteSchema = table<SiteRow>({
  name: 'site',
  columns: { name: key(string(64)) },
});

export const cloudSchema = table<CloudRow>({
  name: 'cloud',
  columns: { name: key(string(64)) },
});

/** Zone, pod and cluster are known by their names within the one above, as an administrator types them in CloudStack. */
export const zoneSchema = table<ZoneRow>({
  name: 'zone',
  columns: { cloud: key(string(64)), name: key(string(128)) },
  foreignKeys: [foreignKey('fk_zone_cloud', ['cloud'], 'cloud', ['name'], 'RESTRICT')],
});

export const podSchema = table<PodRow>({
  name: 'pod',
  columns: { cloud: key(string(64)), zone: key(string(128)), name: key(string(128)) },
  foreignKeys: [foreignKey('fk_pod_zone', ['cloud', 'zone'], 'zone', ['cloud', 'name'], 'RESTRICT')],
});

export const clusterSchema = table<ClusterRow>({
  name: 'cluster',
  columns: {
    cloud: key(string(64)),
    zone: key(string(128)),
    pod: key(string(128)),
    name: key(string(128)),
  },
  foreignKeys: [
    foreignKey('fk_cluster_pod', ['cloud', 'zone', 'pod'], 'pod', ['cloud', 'zone', 'name'], 'RESTRICT'),
  ],
});
