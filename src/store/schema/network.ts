import { key, string, table } from './columns.ts';

/** The switches that share one VLAN space. */
export interface FabricRow {
  name: string;
}

export const fabricSchema = table<FabricRow>({
  name: 'fabric',
  columns: { name: key(string(64)) },
});
