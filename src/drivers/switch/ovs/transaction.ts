import type { ObservedPort, PortId, SwitchStep, VlanId } from '../../../../plugin-api/index.ts';
import { portChanges, type PortChange } from './changes.ts';
import type { Operation } from './ovsdb-client.ts';
import { asMap, asSet, type RowReference } from './ovsdb-values.ts';
import { columnsOf, type PortColumns } from './port-columns.ts';
import { vlanKeyOf, type BridgeRow, type PortRow, type Snapshot } from './snapshot.ts';

export interface Batch {
  readonly steps: readonly SwitchStep[];
  /** What the steps were planned from. */
  readonly snapshot: Snapshot;
  readonly observed: ReadonlyMap<PortId, ObservedPort>;
  readonly defaultVlan: VlanId | null;
  /** Name of the bridge for ports that are shut. */
  readonly shutBridge: string;
}

/**
 * The steps as one transaction. It begins with what must still be as it was read: where somebody was faster, nothing is
 * written. All is on disk when it is answered.
 */
export function transactionFor(batch: Batch): readonly Operation[] {
  const { steps, snapshot, observed, defaultVlan, shutBridge } = batch;
  const changes = [...portChanges(steps, observed, defaultVlan)].map(
    ([port, change]) => [snapshot.ports.get(port)!, change] as const,
  );
  const shut = changes.filter(([row, { admin }]) => !row.shut && admin === 'down').map(([row]) => row);
  const opened = changes.filter(([row, { admin }]) => row.shut && admin === 'up').map(([row]) => row);
  const made = shut.length > 0 && snapshot.shutBridge === null;
  return [
    ...changes.flatMap(([row]) => unchanged(row, row.shut ? snapshot.shutBridge! : snapshot.bridge)),
    ...changes.map(([row, change]) => updatePort(row, change)),
    ...(made ? makeShutBridge(shutBridge, snapshot.bridge.datapathType, shut) : []),
    ...move(shut, snapshot.bridge, snapshot.shutBridge),
    ...move(opened, snapshot.shutBridge, snapshot.bridge),
    ...steps.flatMap((step) => markVlan(step, snapshot.bridge)),
  ];
}

/** Fails the transaction unless the port has the columns that were read, and is on the bridge where it was seen. */
function unchanged(row: PortRow, bridge: BridgeRow): Operation[] {
  return [
    {
      op: 'wait',
      timeout: 0,
      table: 'Port',
      where: [isRow(row.id)],
      columns: ['vlan_mode', 'tag', 'trunks'],
      until: '==',
      rows: [asRow(row)],
    },
    {
      op: 'wait',
      timeout: 0,
      table: 'Bridge',
      where: [isRow(bridge.id), ['ports', 'includes', reference(row.id)]],
      columns: ['name'],
      until: '==',
      rows: [{ name: bridge.name }],
    },
  ];
}

function updatePort(row: PortRow, { native, tagged }: PortChange): Operation {
  return { op: 'update', table: 'Port', where: [isRow(row.id)], row: asRow(columnsOf(native, tagged)) };
}

/**
 * A bridge in fail mode `secure` without a controller has no flows, so it drops every frame that its ports receive, and sends
 * none. Unlike the state of an OpenFlow port, this is in the database, and outlives a restart.
 */
function makeShutBridge(name: string, datapathType: string, ports: readonly PortRow[]): Operation[] {
  const all: RowReference[] = [['named-uuid', 'shut_port'], ...ports.map((row) => reference(row.id))];
  return [
    { op: 'insert', table: 'Interface', 'uuid-name': 'shut_interface', row: { name, type: 'internal' } },
    {
      op: 'insert',
      table: 'Port',
      'uuid-name': 'shut_port',
      row: { name, interfaces: asSet([['named-uuid', 'shut_interface']]) },
    },
    {
      op: 'insert',
      table: 'Bridge',
      'uuid-name': 'shut_bridge',
      row: {
        name,
        ports: asSet(all),
        datapath_type: datapathType,
        fail_mode: 'secure',
        external_ids: asMap({ 'csbm-admin': 'down' }),
      },
    },
    mutate('Open_vSwitch', [], 'bridges', 'insert', asSet([['named-uuid', 'shut_bridge']])),
  ];
}

/** @param to null when the bridge is made by this transaction, with the ports in it */
function move(rows: readonly PortRow[], from: BridgeRow | null, to: BridgeRow | null): Operation[] {
  if (rows.length === 0) return [];
  const ports = asSet(rows.map((row) => reference(row.id)));
  return [
    ...(from ? [mutate('Bridge', [isRow(from.id)], 'ports', 'delete', ports)] : []),
    ...(to ? [mutate('Bridge', [isRow(to.id)], 'ports', 'insert', ports)] : []),
  ];
}

function markVlan(step: SwitchStep, { id }: BridgeRow): Operation[] {
  if (step.do === 'ensure-vlan') {
    const mark = asMap({ [vlanKeyOf(step.vlan)]: step.description });
    return [mutate('Bridge', [isRow(id)], 'external_ids', 'insert', mark)];
  }
  if (step.do !== 'delete-vlan') return [];
  return [mutate('Bridge', [isRow(id)], 'external_ids', 'delete', ['set', [vlanKeyOf(step.vlan)]])];
}

function mutate(table: string, where: unknown, column: string, mutator: string, value: unknown): Operation {
  return { op: 'mutate', table, where, mutations: [[column, mutator, value]] };
}

function asRow({ vlanMode, tag, trunks }: PortColumns): object {
  return {
    vlan_mode: vlanMode ?? asSet([]),
    tag: tag ?? asSet([]),
    trunks: asSet(trunks),
  };
}

function isRow(id: string): unknown {
  return ['_uuid', '==', reference(id)];
}

function reference(id: string): RowReference {
  return ['uuid', id];
}
