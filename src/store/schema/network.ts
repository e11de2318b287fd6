import { foreignKey, int, key, nullable, renamed, string, table } from './columns.ts';

/** The switches that share one VLAN space. */
export interface FabricRow {
  name: string;
}

/** A VLAN is known by fabric and id. */
export interface VlanRow {
  fabric: string;
  id: number;
  name: string;
}

export interface SubnetRow {
  fabric: string;
  /** `10.0.0.0/24`. */
  cidr: string;
  vlan: number;
  gateway: string | null;
  /** First and last address that may be given out, or null for none. */
  rangeStart: string | null;
  rangeEnd: string | null;
}

export const fabricSchema = table<FabricRow>({
  name: 'fabric',
  columns: { name: key(string(64)) },
});

export const vlanSchema = table<VlanRow>({
  name: 'vlan',
  columns: { fabric: key(string(64)), id: key(int()), name: string(64) },
  foreignKeys: [foreignKey('fk_vlan_fabric', ['fabric'], 'fabric', ['name'], 'CASCADE')],
});

export const subnetSchema = table<SubnetRow>({
  name: 'subnet',
  columns: {
    fabric: key(string(64)),
    cidr: key(string(64)),
    vlan: int(),
    gateway: nullable(string(45)),
    rangeStart: nullable(renamed('range_start', string(45))),
    rangeEnd: nullable(renamed('range_end', string(45))),
  },
  foreignKeys: [foreignKey('fk_subnet_vlan', ['fabric', 'vlan'], 'vlan', ['fabric', 'id'], 'CASCADE')],
});
