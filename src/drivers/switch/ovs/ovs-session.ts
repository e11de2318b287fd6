import { z } from 'zod';
import {
  DeviceError,
  type DeviceCode,
  type DeviceContext,
  type ObservedSwitch,
  type PortId,
  type SwitchSession,
  type SwitchStep,
  type SwitchTarget,
} from '../../../../plugin-api/index.ts';
import { OvsdbClient, TransactionError, type Operation } from './ovsdb-client.ts';
import { openOvsdbSocket } from './ovsdb-socket.ts';
import { membershipOf } from './port-columns.ts';
import { renderSteps } from './render.ts';
import type { OvsSettings } from './settings.ts';
import {
  observe,
  parseRows,
  selectRows,
  snapshotOf,
  type BridgeRow,
  type Rows,
  type Snapshot,
} from './snapshot.ts';
import { transactionFor } from './transaction.ts';

/** A connection to the database of one Open vSwitch, of which one bridge is the switch. */
export class OvsSession implements SwitchSession {
  readonly hostKey: string | null;
  readonly #client: OvsdbClient;
  readonly #settings: OvsSettings;
  readonly #context: DeviceContext;
  readonly #where: string;
  /** As read last; a batch is planned from it, and is refused by the database where it is no longer true. */
  #snapshot: Snapshot | null = null;

  private constructor(
    client: OvsdbClient,
    hostKey: string | null,
    settings: OvsSettings,
    context: DeviceContext,
    where: string,
  ) {
    this.#client = client;
    this.hostKey = hostKey;
    this.#settings = settings;
    this.#context = context;
    this.#where = where;
  }

  /** @throws DeviceError `switch.*` */
  static async open(
    target: SwitchTarget,
    settings: OvsSettings,
    context: DeviceContext,
    signal?: AbortSignal,
  ): Promise<OvsSession> {
    const where = `switch ${target.name}`;
    const { socket, hostKey } = await openOvsdbSocket(target, settings, context.clock, signal);
    const session = new OvsSession(
      new OvsdbClient(socket, context.clock, where),
      hostKey,
      settings,
      context,
      where,
    );
    try {
      await session.#checkServer(signal);
      for (const port of everythingOn(await session.#load(signal)))
        context.log('warn', 'the port carries every VLAN, because nothing was said about it', {
          where,
          port,
        });
      return session;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  async read(ports: readonly PortId[], signal?: AbortSignal): Promise<ObservedSwitch> {
    return observe(await this.#load(signal), ports, this.#settings.defaultVlan);
  }

  async apply(steps: readonly SwitchStep[], signal?: AbortSignal): Promise<void> {
    if (steps.length === 0) return;
    const { defaultVlan, shutBridge } = this.#settings;
    const snapshot = this.#snapshot ?? (await this.#load(signal));
    const ports = steps.flatMap((step) => ('port' in step ? [step.port] : []));
    const { ports: observed } = observe(snapshot, ports, defaultVlan);
    const missing = ports.find((port) => !observed.has(port));
    if (missing !== undefined) throw this.#error('switch.port-unknown', `there is no port ${missing}`);
    this.#snapshot = null;
    this.#context.mayChange?.();
    const results = await this.#transact(
      [
        ...transactionFor({ steps, snapshot, observed, defaultVlan, shutBridge }),
        { op: 'mutate', table: 'Open_vSwitch', where: [], mutations: [['next_cfg', '+=', 1]] },
        // Goes to the log of the database: `ovsdb-tool show-log` tells who changed what.
        { op: 'comment', comment: `csbm: ${renderSteps(steps, shutBridge).join('; ')}` },
        { op: 'commit', durable: true },
        { op: 'select', table: 'Open_vSwitch', where: [], columns: ['next_cfg'] },
      ],
      signal,
    );
    await this.#untilTaken(nextCfgOf(results.at(-1)), signal);
  }

  /** The database is the configuration, and every batch is answered only once it is on disk. */
  async save(): Promise<void> {}

  async close(): Promise<void> {
    await this.#client.close();
  }

  async #checkServer(signal: AbortSignal | undefined): Promise<void> {
    const names = await this.#client.databases({ timeout: this.#settings.commandTimeout, signal });
    if (names.includes('Open_vSwitch')) return;
    throw this.#error(
      'switch.protocol',
      `this database server has no database "Open_vSwitch" (it has: ${names.join(', ')})`,
      'name the database server of the switch itself, not one of OVN',
    );
  }

  /** What the database says, once `ovs-vswitchd` has taken all of it: before, it is a wish and not a state. */
  async #load(signal: AbortSignal | undefined): Promise<Snapshot> {
    let rows = await this.#rows(signal);
    if (rows.curCfg < rows.nextCfg) {
      await this.#untilTaken(rows.nextCfg, signal);
      rows = await this.#rows(signal);
    }
    this.#snapshot = snapshotOf(rows, this.#bridgeIn(rows), this.#shutBridgeIn(rows));
    return this.#snapshot;
  }

  async #rows(signal: AbortSignal | undefined): Promise<Rows> {
    const results = await this.#transact(selectRows, signal);
    try {
      return parseRows(results);
    } catch (cause) {
      const what = 'the rows of the database are not those of Open vSwitch';
      throw this.#error('switch.protocol', what, undefined, cause instanceof Error ? cause : undefined);
    }
  }

  #bridgeIn({ bridges }: Rows): BridgeRow {
    const { bridge: wanted, shutBridge } = this.#settings;
    const fitting = bridges.filter(({ name }) => name !== shutBridge && (wanted ?? name) === name);
    const bridge = fitting[0];
    if (!bridge || fitting.length > 1) {
      const names = bridges.map(({ name }) => name).filter((name) => name !== shutBridge);
      throw this.#error(
        'switch.protocol',
        wanted === null
          ? `Open vSwitch has ${names.length === 0 ? 'no bridge' : `several bridges (${names.join(', ')})`}`
          : `Open vSwitch has no bridge "${wanted}" (it has: ${names.join(', ')})`,
        'make the bridge, or name it with "bridge" in the settings of the driver',
      );
    }
    if (bridge.controllers.length === 0 && bridge.failMode !== 'secure') return bridge;
    throw this.#error(
      'switch.protocol',
      `OpenFlow rules decide where the bridge ${bridge.name} sends frames, and not the VLANs of its ports`,
      `give it neither a controller nor the fail mode "secure": ovs-vsctl del-controller ${bridge.name} -- del-fail-mode ${bridge.name}`,
    );
  }

  #shutBridgeIn({ bridges }: Rows): BridgeRow | null {
    const found = bridges.find(({ name }) => name === this.#settings.shutBridge) ?? null;
    if (found === null || (found.controllers.length === 0 && found.failMode === 'secure')) return found;
    throw this.#error(
      'switch.protocol',
      `the bridge ${found.name} may forward frames, so the ports on it are not shut`,
      `ovs-vsctl del-controller ${found.name} -- set-fail-mode ${found.name} secure`,
    );
  }

  /** Waits for the daemon, as ovs-vsctl does: a row in the database moves no frame. */
  async #untilTaken(nextCfg: number, signal: AbortSignal | undefined): Promise<void> {
    const { applyTimeout, commandTimeout } = this.#settings;
    const taken: Operation = {
      op: 'wait',
      timeout: applyTimeout,
      table: 'Open_vSwitch',
      where: [['cur_cfg', '>=', nextCfg]],
      columns: ['cur_cfg'],
      until: '!=',
      rows: [],
    };
    try {
      await this.#client.transact([taken], {
        timeout: (applyTimeout + commandTimeout) as typeof applyTimeout,
        signal,
      });
    } catch (error) {
      if (!(error instanceof TransactionError) || error.error !== 'timed out') throw this.#translated(error);
      throw this.#error(
        'switch.timeout',
        'ovs-vswitchd has not taken the configuration that is in the database',
        'see whether it runs, and what it logs',
        error,
      );
    }
  }

  async #transact(
    operations: readonly Operation[],
    signal: AbortSignal | undefined,
  ): Promise<readonly unknown[]> {
    try {
      return await this.#client.transact(operations, { timeout: this.#settings.commandTimeout, signal });
    } catch (error) {
      throw this.#translated(error);
    }
  }

  #translated(error: unknown): unknown {
    if (!(error instanceof TransactionError)) return error;
    if (error.operation?.op === 'wait' && error.error === 'timed out') {
      return this.#error(
        'switch.not-verified',
        'somebody changed these ports after they were read, so nothing was written',
        'they are read again; see who else configures this switch',
      );
    }
    const code = error.error === 'permission error' ? 'switch.auth' : 'switch.refused';
    return this.#error(
      code,
      'the database refused the transaction, and nothing was written',
      undefined,
      error,
    );
  }

  #error(code: DeviceCode, what: string, remedy?: string, cause?: Error): DeviceError {
    const said = cause instanceof TransactionError ? cause.message : undefined;
    return new DeviceError({ code, what, where: this.#where, said, remedy, cause });
  }
}

const nextCfg = z.object({ rows: z.tuple([z.object({ next_cfg: z.int() })]) });

function nextCfgOf(result: unknown): number {
  return nextCfg.parse(result).rows[0].next_cfg;
}

/** Ports on the bridge that take part in every VLAN; the bridge's own does by nature. */
function everythingOn(snapshot: Snapshot): string[] {
  return [...snapshot.ports.values()]
    .filter((row) => !row.shut && row.name !== snapshot.bridge.name && membershipOf(row).everything)
    .map((row) => row.name);
}
