import type { BootOrder, JsonObject, Mac } from '../../../plugin-api/index.ts';
import type { BootRecord, BootState } from '../../core/storage/boot-record.ts';
import type { BootStore } from '../../core/storage/storage.ts';
import type { BootConversationRow } from '../schema/boot.ts';
import type { Sealer } from '../secrets/sealer.ts';
import type { Session } from '../session.ts';
import type { Where } from '../table.ts';
import type { Tables } from '../tables.ts';
import { expectOne } from './expect-one.ts';

const openStates: ReadonlySet<BootState> = new Set<BootState>([
  'placed',
  'armed',
  'asked',
  'running',
  'contested',
]);

/** The sealed part of an order. */
interface Payload {
  readonly work: JsonObject;
  readonly firstBootFiles: BootOrder['firstBootFiles'];
}

/**
 * Orders of open conversations as they were read from these tables, unchanged since (they are read-only): a machine reports
 * its progress every few seconds, and an update that still carries the order it was read with need not seal and write it
 * again. The version condition makes sure that this is the order in the row.
 */
const asStored = new WeakMap<BootOrder, Tables>();

export class SqlBootStore implements BootStore {
  readonly #tables: Tables;
  readonly #session: Session;
  readonly #sealer: Sealer;

  constructor(tables: Tables, session: Session, sealer: Sealer) {
    this.#tables = tables;
    this.#session = session;
    this.#sealer = sealer;
  }

  find(orderId: string): Promise<BootRecord | null> {
    return this.#findOne({ id: orderId });
  }

  async findOpenByMac(mac: Mac): Promise<BootRecord | null> {
    // Ids sort by the time of making: should a MAC be in two, the newer one counts.
    const row = await this.#tables.bootMac.select(
      this.#session,
      { mac },
      { order: { conversationId: 'DESC' }, limit: 1 },
    );
    return row[0] ? this.#findOne({ id: row[0].conversationId }) : null;
  }

  findByTokenHash(tokenHash: string): Promise<BootRecord | null> {
    return this.#findOne({ tokenHash });
  }

  async insert(record: BootRecord): Promise<void> {
    const row = { ...this.#orderColumns(record.order), ...stateColumns(record) };
    await this.#tables.bootConversation.insert(this.#session, [row]);
    await this.#openMacs(record);
  }

  async update(record: BootRecord): Promise<BootRecord> {
    const { order, version } = record;
    const unchanged = asStored.get(order) === this.#tables;
    const stored = { ...record, version: version + 1 };
    const affected = await this.#tables.bootConversation.update(
      this.#session,
      { ...(!unchanged && this.#orderColumns(order)), ...stateColumns(stored) },
      { id: order.id, version },
    );
    expectOne(affected, `boot conversation ${order.id}`);
    if (!unchanged || !openStates.has(record.state)) {
      await this.#tables.bootMac.delete(this.#session, { conversationId: order.id });
      await this.#openMacs(record);
    }
    return stored;
  }

  async #openMacs({ order, state }: BootRecord): Promise<void> {
    if (!openStates.has(state)) return;
    const rows = order.macs.map((mac) => ({ mac, conversationId: order.id }));
    await this.#tables.bootMac.insert(this.#session, rows);
  }

  async #findOne(where: Where<BootConversationRow>): Promise<BootRecord | null> {
    const row = await this.#tables.bootConversation.find(this.#session, where);
    return row && this.#toRecord(row);
  }

  #orderColumns(
    order: BootOrder,
  ): Pick<BootConversationRow, 'id' | 'machineId' | 'macs' | 'phase' | 'image' | 'payload'> {
    const payload: Payload = { work: order.work, firstBootFiles: order.firstBootFiles };
    return {
      id: order.id,
      machineId: order.machineId,
      macs: order.macs,
      phase: order.phase,
      image: order.image,
      payload: this.#sealer.seal(JSON.stringify(payload), placeOf(order.id)),
    };
  }

  #toRecord(row: BootConversationRow): BootRecord {
    const { work, firstBootFiles } = JSON.parse(this.#sealer.open(row.payload, placeOf(row.id))) as Payload;
    const order: BootOrder = {
      id: row.id,
      machineId: row.machineId,
      macs: row.macs as readonly Mac[],
      phase: row.phase,
      work,
      image: row.image,
      firstBootFiles,
    };
    if (openStates.has(row.state)) asStored.set(order, this.#tables);
    return {
      order,
      state: row.state,
      tokenHash: row.tokenHash,
      armedAt: row.armedAt,
      asker: row.asker,
      activity: row.activity,
      percent: row.percent,
      lastSeen: row.lastSeen,
      evidence: row.evidence,
      inventory: row.inventory,
      error: row.error,
      version: row.version,
    };
  }
}

type StateColumns = Omit<BootConversationRow, 'id' | 'machineId' | 'macs' | 'phase' | 'image' | 'payload'>;

function stateColumns(record: BootRecord): StateColumns {
  return {
    state: record.state,
    tokenHash: record.tokenHash,
    armedAt: record.armedAt,
    asker: record.asker,
    activity: record.activity,
    percent: record.percent,
    lastSeen: record.lastSeen,
    evidence: record.evidence,
    inventory: record.inventory,
    error: record.error,
    version: record.version,
  };
}

const placeOf = (id: string) => ({ table: 'boot_conversation', row: id, field: 'payload' });
