import { isDeepStrictEqual } from 'node:util';
import type { DesiredPort, PortId, VlanId } from '../../../plugin-api/index.ts';
import type { MachineId } from '../../core/machine/machine.ts';
import { tenantVlans, type PortRecord, type TenantPort } from '../../core/network/port-state.ts';
import { describePlace, type PortPlace } from '../../core/rack/wiring.ts';
import type { PortStore } from '../../core/storage/storage.ts';
import type { PortStateRow } from '../schema/rack.ts';
import type { Session } from '../session.ts';
import type { Where } from '../table.ts';
import type { Tables } from '../tables.ts';
import { expectOne } from './expect-one.ts';
import { inSteps } from './in-steps.ts';

export class SqlPortStore implements PortStore {
  readonly #tables: Tables;
  readonly #session: Session;

  constructor(tables: Tables, session: Session) {
    this.#tables = tables;
    this.#session = session;
  }

  async find(switchName: string, port: PortId): Promise<PortRecord | null> {
    const row = await this.#tables.portState.find(this.#session, { switch: switchName, port });
    return row && toRecord(row);
  }

  ofSwitch(switchName: string): Promise<readonly PortRecord[]> {
    return this.#select({ switch: switchName });
  }

  ofMachine(machineId: MachineId): Promise<readonly PortRecord[]> {
    return this.#select({ machineId });
  }

  async ofPorts(switchName: string, ports: readonly PortId[]): Promise<readonly PortRecord[]> {
    return ports.length === 0 ? [] : this.#select({ switch: switchName, port: inSteps(ports) });
  }

  async tenantPorts(switches: readonly string[]): Promise<readonly TenantPort[]> {
    if (switches.length === 0) return [];
    const columns = ['switch', 'port', 'machineId', 'purpose', 'desired'] as const;
    const where = { switch: inSteps(switches), purpose: 'tenant' } as const;
    const rows = await this.#tables.portState.selectColumns(this.#session, columns, where);
    return rows.map((row) => ({
      ...row,
      port: row.port as PortId,
      machineId: row.machineId as MachineId | null,
    }));
  }

  async tenantVlans(fabric: string, except: readonly PortPlace[] = []): Promise<readonly VlanId[]> {
    // Thousands of ports have a handful of VLANs between them: the database picks them, and no row of a port is made here.
    const { rows } = await this.#session.execute(
      'SELECT DISTINCT s.park, p.desired FROM port_state p JOIN `switch` s ON s.name = p.`switch` ' +
        `WHERE s.fabric = ? AND p.purpose = 'tenant'` +
        ' AND NOT (p.`switch` = ? AND p.port = ?)'.repeat(except.length),
      [fabric, ...except.flatMap((place) => [place.switch, place.port])],
    );
    const vlans = new Set<VlanId>();
    for (const row of rows) {
      const park = row['park'] === 'shut' ? 'shut' : (Number(row['park']) as VlanId);
      const desired = JSON.parse(String(row['desired'])) as DesiredPort;
      for (const vlan of tenantVlans({ purpose: 'tenant', desired }, { park })) vlans.add(vlan);
    }
    return [...vlans];
  }

  list(): Promise<readonly PortRecord[]> {
    return this.#select({});
  }

  async desire(
    record: Pick<PortRecord, 'switch' | 'port' | 'machineId' | 'purpose' | 'desired'>,
  ): Promise<PortRecord> {
    const { machineId, purpose, desired, port } = record;
    const place = { switch: record.switch, port };
    const before = await this.#tables.portState.find(this.#session, place);
    if (!before) {
      const row: PortStateRow = {
        ...place,
        machineId,
        purpose,
        desired,
        desiredVersion: 1,
        observed: null,
        observedVersion: 0,
        observedAt: null,
      };
      await this.#tables.portState.insert(this.#session, [row]);
      return toRecord(row);
    }
    const same = before.purpose === purpose && isDeepStrictEqual(before.desired, desired);
    if (same && before.machineId === machineId) return toRecord(before);
    const change = { machineId, purpose, desired, desiredVersion: before.desiredVersion + (same ? 0 : 1) };
    const affected = await this.#tables.portState.update(this.#session, change, {
      ...place,
      desiredVersion: before.desiredVersion,
    });
    expectOne(affected, `port ${describePlace(record)}`);
    return toRecord({ ...before, ...change });
  }

  /** A reading of a port that is not recorded, or older than the one recorded, changes nothing. */
  async observe(
    record: Pick<PortRecord, 'switch' | 'port' | 'observed' | 'observedVersion' | 'observedAt'>,
  ): Promise<void> {
    const place = { switch: record.switch, port: record.port };
    const before = await this.#tables.portState.find(this.#session, place, { lock: true });
    if (!before) return;
    const ahead = (before.observedAt ?? 0) - (record.observedAt ?? 0);
    const newer = ahead <= 0 || ahead > setBack;
    await this.#tables.portState.update(
      this.#session,
      {
        observed: newer ? record.observed : before.observed,
        observedAt: newer ? record.observedAt : before.observedAt,
        observedVersion: Math.max(record.observedVersion, before.observedVersion),
      },
      place,
    );
  }

  async delete(switchName: string, port: PortId): Promise<void> {
    await this.#tables.portState.delete(this.#session, { switch: switchName, port });
  }

  async #select(where: Where<PortStateRow>): Promise<readonly PortRecord[]> {
    const order = { switch: 'ASC', port: 'ASC' } as const;
    return (await this.#tables.portState.select(this.#session, where, { order })).map(toRecord);
  }
}

/** Milliseconds. Readings that overtake each other are never so far apart: then the clock was set back. */
const setBack = 60_000;

function toRecord(row: PortStateRow): PortRecord {
  return { ...row, port: row.port as PortId, machineId: row.machineId as MachineId | null };
}
