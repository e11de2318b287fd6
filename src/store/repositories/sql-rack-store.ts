import { Secret, type Clock, type Mac, type PortId, type VlanId } from '../../../plugin-api/index.ts';
import type { FabricSwitch, Switch, Wire } from '../../core/rack/wiring.ts';
import type { RackStore } from '../../core/storage/storage.ts';
import type { SwitchRow, WireRow } from '../schema/rack.ts';
import type { Sealer } from '../secrets/sealer.ts';
import type { Session } from '../session.ts';
import type { Where } from '../table.ts';
import type { Tables } from '../tables.ts';
import { expectOne } from './expect-one.ts';
import { inSteps } from './in-steps.ts';

/** A statement of SQLite takes 32766 values (sqlite.org/limits.html), and the NICs of all machines may be more. */
const mostNamed = 8_192;
/** The one row of `rack_config`. */
const configId = 'current';

export class SqlRackStore implements RackStore {
  readonly #tables: Tables;
  readonly #session: Session;
  readonly #sealer: Sealer;
  readonly #clock: Clock;

  constructor(tables: Tables, session: Session, sealer: Sealer, clock: Clock) {
    this.#tables = tables;
    this.#session = session;
    this.#sealer = sealer;
    this.#clock = clock;
  }

  async switches(): Promise<readonly Switch[]> {
    const rows = await this.#tables.switch.select(this.#session, {}, { order: { position: 'ASC' } });
    return rows.map((row) => this.#toSwitch(row));
  }

  async switchesOf(names: readonly string[]): Promise<readonly Switch[]> {
    if (names.length === 0) return [];
    const order = { position: 'ASC' } as const;
    const rows = await this.#tables.switch.select(this.#session, { name: inSteps(names) }, { order });
    return rows.map((row) => this.#toSwitch(row));
  }

  async ofFabric(fabric: string): Promise<readonly FabricSwitch[]> {
    const columns = ['name', 'uplinks', 'provisioning', 'park', 'unsavedSince'] as const;
    const rows = await this.#tables.switch.selectColumns(this.#session, columns, { fabric });
    return rows.map(({ name, unsavedSince, ...row }) => ({ name, unsavedSince, ...toRoles(row) }));
  }

  async findSwitch(name: string): Promise<Switch | null> {
    const row = await this.#tables.switch.find(this.#session, { name });
    return row && this.#toSwitch(row);
  }

  async wires(): Promise<readonly Wire[]> {
    return this.#wires({});
  }

  async wiresOf(macs: readonly Mac[]): Promise<readonly Wire[]> {
    if (macs.length <= mostNamed) return this.#wires({ mac: inSteps(macs) });
    const wanted = new Set(macs);
    return (await this.wires()).filter(({ mac }) => wanted.has(mac));
  }

  async #wires(where: Where<WireRow>): Promise<readonly Wire[]> {
    const rows = await this.#tables.wire.select(this.#session, where, { order: { position: 'ASC' } });
    return rows.map(toWire);
  }

  async configText(): Promise<string | null> {
    const row = await this.#tables.rackConfig.find(this.#session, { id: configId });
    return row && this.#sealer.open(row.text, configPlace);
  }

  /** A switch that was there gets the version after its own, whatever the given one says, so that a stale update of it fails. */
  async replace(text: string, switches: readonly Switch[], wires: readonly Wire[]): Promise<void> {
    const { rackConfig, switch: table, wire, fabric } = this.#tables;
    await rackConfig.put(this.#session, {
      id: configId,
      text: this.#sealer.seal(text, configPlace),
      uploadedAt: this.#clock.now(),
    });
    const before = await table.select(this.#session, {}, { lock: true });
    const versions = new Map(before.map((row) => [row.name, row.version]));
    for (const name of new Set(switches.map((s) => s.fabric)))
      await fabric.insertMissing(this.#session, { name });
    await wire.delete(this.#session, {});
    await table.delete(this.#session, {});
    await table.insert(
      this.#session,
      switches.map((record, position) => {
        const version = versions.get(record.name);
        return {
          ...this.#toRow(record),
          position,
          version: version === undefined ? record.version : version + 1,
        };
      }),
    );
    await wire.insert(
      this.#session,
      wires.map(({ mac, port, server, switch: name }, position) => ({
        mac,
        position,
        switch: name,
        port,
        server,
      })),
    );
  }

  async updateSwitch(record: Switch): Promise<Switch> {
    const { name, version } = record;
    const stored = { ...record, version: version + 1 };
    const affected = await this.#tables.switch.update(this.#session, this.#toRow(stored), { name, version });
    expectOne(affected, `switch ${name}`);
    return stored;
  }

  #toRow(record: Switch): Omit<SwitchRow, 'position'> {
    const { name, enablePassword } = record;
    return {
      name,
      fabric: record.fabric,
      type: record.type,
      transport: record.transport,
      host: record.host,
      tcpPort: record.tcpPort,
      username: record.username,
      password: this.#sealer.seal(record.password.reveal(), placeOf(name, 'password')),
      enablePassword:
        enablePassword && this.#sealer.seal(enablePassword.reveal(), placeOf(name, 'enable_password')),
      hostKeyPin: record.hostKeyPin,
      legacyCrypto: record.legacyCrypto,
      uplinks: record.uplinks,
      provisioning: String(record.provisioning),
      park: String(record.park),
      defaultVlan: record.defaultVlan,
      unsavedSince: record.unsavedSince,
      version: record.version,
    };
  }

  #toSwitch(row: SwitchRow): Switch {
    const { name, enablePassword } = row;
    return {
      name,
      fabric: row.fabric,
      type: row.type,
      transport: row.transport,
      host: row.host,
      tcpPort: row.tcpPort,
      username: row.username,
      password: new Secret(this.#sealer.open(row.password, placeOf(name, 'password'))),
      enablePassword:
        enablePassword === null
          ? null
          : new Secret(this.#sealer.open(enablePassword, placeOf(name, 'enable_password'))),
      hostKeyPin: row.hostKeyPin,
      legacyCrypto: row.legacyCrypto,
      ...toRoles(row),
      defaultVlan: row.defaultVlan as VlanId | null,
      unsavedSince: row.unsavedSince,
      version: row.version,
    };
  }
}

/** What its ports and VLANs are for. */
function toRoles({
  uplinks,
  provisioning,
  park,
}: Pick<SwitchRow, 'uplinks' | 'provisioning' | 'park'>): Pick<Switch, 'uplinks' | 'provisioning' | 'park'> {
  return {
    uplinks: uplinks as readonly PortId[],
    provisioning: provisioning === 'default-vlan' ? 'default-vlan' : (Number(provisioning) as VlanId),
    park: park === 'shut' ? 'shut' : (Number(park) as VlanId),
  };
}

function toWire(row: WireRow): Wire {
  return { switch: row.switch, port: row.port as PortId, mac: row.mac as Mac, server: row.server };
}

const configPlace = { table: 'rack_config', row: configId, field: 'text' };
const placeOf = (name: string, field: string) => ({ table: 'switch', row: name, field });
