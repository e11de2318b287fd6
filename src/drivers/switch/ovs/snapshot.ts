import { z } from 'zod';
import {
  ourVlanPrefix,
  parseVlanId,
  type ObservedPort,
  type ObservedSwitch,
  type ObservedVlan,
  type PortId,
  type VlanId,
} from '../../../../plugin-api/index.ts';
import type { Operation } from './ovsdb-client.ts';
import { optional, setOf, textMap, uuid } from './ovsdb-values.ts';
import { membershipOf, type PortColumns } from './port-columns.ts';

/** A row of the table `Bridge`. */
export interface BridgeRow {
  readonly id: string;
  readonly name: string;
  readonly datapathType: string;
  readonly failMode: string | null;
  readonly controllers: readonly string[];
  readonly ports: readonly string[];
  readonly externalIds: ReadonlyMap<string, string>;
}

/** A row of the table `Port`, on the bridge or on the one for ports that are shut. */
export interface PortRow extends PortColumns {
  readonly id: string;
  readonly name: string;
  readonly fakeBridge: boolean;
  /** Of its interfaces. */
  readonly types: readonly string[];
  readonly shut: boolean;
}

/** What the database said at one moment. */
export interface Snapshot {
  readonly bridge: BridgeRow;
  /** The bridge for ports that are shut, once there is one. */
  readonly shutBridge: BridgeRow | null;
  readonly ports: ReadonlyMap<string, PortRow>;
}

/** All rows in question, read as one transaction. */
export interface Rows {
  readonly bridges: readonly BridgeRow[];
  readonly ports: readonly Omit<PortRow, 'types' | 'shut'>[];
  readonly interfacesOf: ReadonlyMap<string, readonly string[]>;
  /** Changes of the configuration that were asked for, and that `ovs-vswitchd` has taken. */
  readonly nextCfg: number;
  readonly curCfg: number;
}

export const selectRows: readonly Operation[] = [
  { op: 'select', table: 'Open_vSwitch', where: [], columns: ['next_cfg', 'cur_cfg'] },
  {
    op: 'select',
    table: 'Bridge',
    where: [],
    columns: ['_uuid', 'name', 'datapath_type', 'fail_mode', 'controller', 'ports', 'external_ids'],
  },
  {
    op: 'select',
    table: 'Port',
    where: [],
    columns: ['_uuid', 'name', 'vlan_mode', 'tag', 'trunks', 'interfaces', 'fake_bridge'],
  },
  { op: 'select', table: 'Interface', where: [], columns: ['_uuid', 'type'] },
];

const rowsSchema = z.tuple([
  z.object({ rows: z.tuple([z.object({ next_cfg: z.int(), cur_cfg: z.int() })]) }),
  z.object({
    rows: z.array(
      z.object({
        _uuid: uuid,
        name: z.string(),
        datapath_type: z.string(),
        fail_mode: optional(z.string()),
        controller: setOf(uuid),
        ports: setOf(uuid),
        external_ids: textMap,
      }),
    ),
  }),
  z.object({
    rows: z.array(
      z.object({
        _uuid: uuid,
        name: z.string(),
        vlan_mode: optional(z.string()),
        tag: optional(z.int()),
        trunks: setOf(z.int()),
        interfaces: setOf(uuid),
        fake_bridge: z.boolean(),
      }),
    ),
  }),
  z.object({ rows: z.array(z.object({ _uuid: uuid, type: z.string() })) }),
]);

/** Reads the results of {@link selectRows}. @throws ZodError when they are not rows of Open vSwitch */
export function parseRows(results: readonly unknown[]): Rows {
  const [root, bridges, ports, interfaces] = rowsSchema.parse(results);
  const types = new Map(interfaces.rows.map((row) => [row._uuid, row.type]));
  return {
    bridges: bridges.rows.map((row) => ({
      id: row._uuid,
      name: row.name,
      datapathType: row.datapath_type,
      failMode: row.fail_mode,
      controllers: row.controller,
      ports: row.ports,
      externalIds: row.external_ids,
    })),
    ports: ports.rows.map((row) => ({
      id: row._uuid,
      name: row.name,
      vlanMode: row.vlan_mode,
      tag: row.tag,
      trunks: row.trunks,
      fakeBridge: row.fake_bridge,
    })),
    interfacesOf: new Map(
      ports.rows.map((row) => [row._uuid, row.interfaces.map((id) => types.get(id) ?? '')]),
    ),
    nextCfg: root.rows[0].next_cfg,
    curCfg: root.rows[0].cur_cfg,
  };
}

export function snapshotOf(rows: Rows, bridge: BridgeRow, shutBridge: BridgeRow | null): Snapshot {
  const ports = rows.ports
    .filter(({ id }) => bridge.ports.includes(id) || shutBridge?.ports.includes(id))
    .map((row): [string, PortRow] => [
      row.name,
      { ...row, types: rows.interfacesOf.get(row.id) ?? [], shut: !bridge.ports.includes(row.id) },
    ]);
  return { bridge, shutBridge, ports: new Map(ports) };
}

const vlanKey = /^csbm-vlan-(\d{1,4})$/;

/** The key in the bridge's `external_ids` that marks a VLAN as made by us: Open vSwitch has no VLANs of its own to mark. */
export function vlanKeyOf(vlan: VlanId): string {
  return `csbm-vlan-${vlan}`;
}

/** @param defaultVlan what counts as the default VLAN, by the settings */
export function observe(
  { bridge, shutBridge, ports }: Snapshot,
  asked: readonly PortId[],
  defaultVlan: VlanId | null,
): ObservedSwitch {
  const seen = new Map<PortId, ObservedPort>();
  const members = new Map<VlanId, PortId[]>();
  for (const row of ports.values()) {
    const { native, tagged, everything, odd } = membershipOf(row);
    const port = row.name as PortId;
    for (const vlan of native === null ? tagged : [native, ...tagged])
      members.set(vlan, [...(members.get(vlan) ?? []), port]);
    if (!asked.includes(port)) continue;
    seen.set(port, {
      native: native !== null && native === defaultVlan ? 'default' : native,
      tagged,
      admin: row.shut ? 'down' : 'up',
      prepared: !everything,
      guarded: own(row, bridge, shutBridge) ?? odd,
    });
  }
  const ours = [...bridge.externalIds].flatMap(([key, description]): [VlanId, string][] => {
    const id = vlanKey.exec(key)?.[1];
    return id !== undefined && description.startsWith(ourVlanPrefix) ? [[parseVlanId(id), description]] : [];
  });
  const descriptions = new Map(ours);
  const vlans = [...new Set([...descriptions.keys(), ...members.keys()])]
    .sort((a, b) => a - b)
    .map((id): [VlanId, ObservedVlan] => [
      id,
      {
        id,
        ours: descriptions.has(id),
        description: descriptions.get(id) ?? '',
        members: members.get(id) ?? [],
      },
    ]);
  // The database is the configuration: there is no other copy that could differ.
  return { defaultVlan, ports: seen, vlans: new Map(vlans), unsaved: false };
}

/** Why a port is the host's own business, or null. */
function own(row: PortRow, bridge: BridgeRow, shutBridge: BridgeRow | null): string | null {
  if (row.name === bridge.name || row.name === shutBridge?.name) return 'it is the bridge itself';
  if (row.fakeBridge) return 'it is a fake bridge';
  // Moving it to another bridge would make its network device anew, without its addresses and outside of its namespace.
  if (row.types.includes('internal')) return 'it is an internal port, which belongs to the host';
  return null;
}
