import {
  CodedError,
  parseMac,
  type Duration,
  type Mac,
  type NicFacts,
  type PowerState,
  type Secret,
} from '../../plugin-api/index.ts';
import type { Asker } from '../core/access/principal.ts';
import { authorise, authoriseOn, type Action } from '../core/access/rights.ts';
import type { MachinePlace } from '../core/access/scope.ts';
import type { Claim } from '../core/claim/claim.ts';
import type { BmcRecord, CloudPlace, Machine, MachineId } from '../core/machine/machine.ts';
import type { Tx } from '../core/storage/storage.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { newSystemId } from '../kernel/ids/ids.ts';
import { moveMachine, quarantine } from './machine-state.ts';
import { endQuarantine } from './quarantine/withhold.ts';
import type { World } from './world.ts';

/** What an administrator says about a machine. */
export interface Enrolment {
  readonly hostname: string;
  /** NICs in the order of their importance; the first connected one is used where only one can be. */
  readonly macs: readonly string[];
  readonly bmc: {
    readonly driver?: string | undefined;
    readonly host: string;
    readonly port?: number | undefined;
    readonly username: string;
    readonly password: Secret;
    readonly kg?: Secret | undefined;
    readonly minSuite?: 3 | 17 | undefined;
    readonly privilege?: 'operator' | 'administrator' | undefined;
  };
  readonly firmware?: 'legacy' | 'efi' | undefined;
  readonly wiring?: 'managed' | 'none' | undefined;
  readonly engine?: string | undefined;
  readonly pool?: string | undefined;
  readonly site?: string | undefined;
  readonly rootDiskSerial?: string | undefined;
  readonly cloudPlace?:
    | (Omit<CloudPlace, 'guid' | 'hostId' | 'hostTag'> & { readonly hostTag?: string | null | undefined })
    | undefined;
}

/** What can be changed about a machine by itself. */
export type Amendment = Partial<
  Pick<Machine, 'hostname' | 'pool' | 'architecture' | 'cpus' | 'memoryBytes' | 'firmware' | 'rootDiskSerial'>
> & { readonly bmc?: Omit<BmcRecord, 'knownSuite'> };

/** Machines as administrators handle them: enrol, find, withhold, lift, forget. */
export class Machines {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /**
   * Enrols a machine; idempotent by BMC address and MACs: the same machine again is updated, and what is not said stays. A machine that merely showed up
   * on the provisioning network is adopted.
   * @throws ServiceError `machine.ambiguous` when address and MACs point at different machines; `access.scope` when the machine,
   * as it was or as it shall be, lies outside the asker's scope; `claim.machine-taken` for another wiring while somebody holds it.
   */
  async enrol(enrolment: Enrolment, by: Asker): Promise<Machine> {
    authorise(by, 'machine.enrol');
    const machine = await this.#enrol(enrolment, by);
    this.#world.events.emit('machine', { machineId: machine.id });
    return machine;
  }

  async #enrol(enrolment: Enrolment, by: Asker): Promise<Machine> {
    const { clock, storage } = this.#world;
    const macs = enrolment.macs.map(parseMac);
    if (macs.length === 0)
      throw new ServiceError({ code: 'request.invalid', what: 'a machine needs at least one MAC' });
    if (new Set(macs).size < macs.length)
      throw new ServiceError({ code: 'request.invalid', what: 'a MAC is given twice' });
    if (Buffer.byteLength(enrolment.bmc.password.reveal()) > 20) {
      throw new ServiceError({
        code: 'request.invalid',
        what: 'the BMC password is longer than 20 bytes, which IPMI 2.0 cannot carry (some BMCs keep only 16)',
      });
    }
    if (enrolment.engine !== undefined) this.#refuseUnknownEngine(enrolment.engine);
    return storage.run(async (tx) => {
      // By the name that the asker gave: it is not told what stands outside its scope.
      const mine = <T extends MachinePlace>(machine: T): T => {
        authoriseOn(by, 'machine.enrol', machine, enrolment.hostname);
        return machine;
      };
      const known = await this.#known(tx, enrolment, macs, mine);
      if (known) {
        if (await tx.journal.active(known.id))
          throw new ServiceError({
            code: 'operation.conflict',
            what: 'an operation is running',
            where: known.hostname,
          });
        const changed = mine({ ...known, ...described(known.id, enrolment, macs, known) });
        await refuseOtherWiring(tx, known, changed);
        return tx.machines.update(changed);
      }
      const twin = await tx.machines.findByHostname(enrolment.hostname);
      if (twin)
        throw new ServiceError({
          code: 'machine.ambiguous',
          what: `the name ${enrolment.hostname} belongs to machine ${mine(twin).id} with another BMC and other MACs`,
        });
      const id = newSystemId() as MachineId;
      const machine: Machine = mine({
        id,
        state: 'new',
        architecture: 'x86_64',
        cpus: 0,
        memoryBytes: 0,
        serial: '',
        product: '',
        disks: [],
        clean: null,
        quarantine: null,
        power: null,
        createdAt: clock.now(),
        version: 1,
        ...described(id, enrolment, macs, null),
      });
      await tx.machines.insert(machine);
      return machine;
    });
  }

  /** What is not configured is told now, not at the first commissioning. */
  #refuseUnknownEngine(type: string): void {
    try {
      this.#world.engine(type);
    } catch (cause) {
      throw new ServiceError({
        code: 'request.invalid',
        what: `there is no deploy engine "${type}"`,
        remedy: 'use native, or describe the upstream MAAS in the section deploy of the configuration',
        cause,
      });
    }
  }

  async #known(
    tx: Tx,
    enrolment: Enrolment,
    macs: readonly Mac[],
    check: (machine: Machine) => void,
  ): Promise<Machine | null> {
    const found = new Map<MachineId, Machine>();
    const byBmc = await tx.machines.findByBmc(enrolment.bmc.host, enrolment.bmc.port ?? 623);
    if (byBmc) found.set(byBmc.id, byBmc);
    for (const mac of macs) {
      const byMac = await tx.machines.findByMac(mac);
      if (byMac) found.set(byMac.id, byMac);
    }
    for (const machine of found.values()) check(machine);
    if (found.size > 1) {
      throw new ServiceError({
        code: 'machine.ambiguous',
        what: `BMC address and MACs point at ${[...found.values()].map((machine) => machine.hostname).join(' and ')}`,
      });
    }
    return [...found.values()][0] ?? null;
  }

  /**
   * Changes some of what an administrator says about a machine; what is not said stays.
   * @throws ServiceError `machine.ambiguous` when the name or the BMC is another machine's; `operation.conflict` for another BMC while an
   *   operation runs; `access.scope` when the machine, as it was or as it shall be, lies outside the asker's scope
   */
  async amend(id: MachineId, by: Asker, change: Amendment): Promise<Machine> {
    const machine = await this.#world.storage.run(async (tx) => {
      const known = await tx.machines.find(id);
      authoriseOn(by, 'machine.enrol', known, id);
      if (!known) throw new ServiceError({ code: 'machine.unknown', what: `there is no machine ${id}` });
      const { bmc, ...rest } = change;
      const target = bmc && { ...known.bmc, ...bmc };
      const twin =
        (rest.hostname !== undefined && (await tx.machines.findByHostname(rest.hostname))) ||
        (target && (await tx.machines.findByBmc(target.host, target.port)));
      if (twin && twin.id !== id)
        throw new ServiceError({
          code: 'machine.ambiguous',
          what: `another machine has that name or BMC`,
          where: known.hostname,
        });
      // What it found out of one BMC, that the machine is off for example, would be taken for true of another.
      if (target && !isSameBmc(known.bmc, target) && (await tx.journal.active(id)))
        throw new ServiceError({
          code: 'operation.conflict',
          what: 'an operation is running: its BMC stays until then',
          where: known.hostname,
        });
      const changed: Machine = {
        ...known,
        ...rest,
        // A suite that was learned belongs to the BMC it was learned from.
        ...(target && {
          bmc: { ...target, knownSuite: known.bmc?.host === target.host ? known.bmc.knownSuite : null },
        }),
      };
      authoriseOn(by, 'machine.enrol', changed, changed.hostname);
      return tx.machines.update(changed);
    });
    this.#world.events.emit('machine', { machineId: id });
    return machine;
  }

  /** By system id, or by hostname. */
  async find(name: string): Promise<Machine> {
    const machine = await this.#world.storage.run(
      async (tx) => (await tx.machines.find(name as MachineId)) ?? (await tx.machines.findByHostname(name)),
    );
    if (!machine) throw new ServiceError({ code: 'machine.unknown', what: `there is no machine "${name}"` });
    return machine;
  }

  /**
   * The machine that a command names, by system id or hostname.
   * @throws ServiceError `machine.unknown`; `access.scope` for somebody with a limited scope, also where there is none such
   */
  async commanded(by: Asker, action: Action, name: string): Promise<Machine> {
    const machine = await this.#world.storage.run(
      async (tx) => (await tx.machines.find(name as MachineId)) ?? (await tx.machines.findByHostname(name)),
    );
    authoriseOn(by, action, machine, name);
    if (!machine) throw new ServiceError({ code: 'machine.unknown', what: `there is no machine "${name}"` });
    return machine;
  }

  list(): Promise<readonly Machine[]> {
    return this.#world.storage.run((tx) => tx.machines.list());
  }

  async #authorise(by: Asker, action: Action, id: MachineId): Promise<void> {
    authoriseOn(by, action, await this.#world.storage.run((tx) => tx.machines.find(id)), id);
  }

  /** Withholds a machine from new claims because a person says so. */
  async quarantine(id: MachineId, by: Asker): Promise<Machine> {
    await this.#authorise(by, 'machine.withhold', id);
    const error = new CodedError({
      code: 'machine.quarantined',
      retry: 'operator',
      what: `${by.principal}: ${by.reason}`,
    });
    await this.#world.storage.run((tx) => quarantine(tx, this.#world, id, error, false, by.principal));
    return this.find(id);
  }

  /**
   * Lifts a quarantine by a person's word. A machine without clean-disk evidence is not ready by that: it must be erased.
   * @throws ServiceError when it is fenced and its BMC still cannot confirm that it is off.
   */
  async lift(id: MachineId, by: Asker): Promise<Machine> {
    await this.#authorise(by, 'machine.withhold', id);
    const { power, storage } = this.#world;
    const machine = await this.find(id);
    if (machine.quarantine?.fenced && (await power.state(machine)) !== 'off') {
      throw new ServiceError({
        code: 'operation.fenced',
        what: 'the machine is fenced and its BMC says it is on',
        where: machine.hostname,
        remedy: 'switch it off first',
      });
    }
    return storage.run(async (tx) => {
      const fresh = await tx.machines.find(id);
      if (!fresh) throw new ServiceError({ code: 'machine.unknown', what: `there is no machine ${id}` });
      const subject = { kind: 'machine', name: id } as const;
      await endQuarantine(tx, this.#world, subject, { by: by.principal, because: by.reason });
      const ready = fresh.state === 'failed' && fresh.clean !== null;
      return ready
        ? moveMachine(tx, id, 'ready', { quarantine: null })
        : tx.machines.update({ ...fresh, quarantine: null });
    });
  }

  /** @throws DeviceError when the machine's BMC does not answer. */
  async checkHealth(id: MachineId): Promise<void> {
    await this.#world.power.state(await this.find(id));
  }

  /** Keeps the id that CloudStack gave the machine's host row. */
  async saveHostId(id: MachineId, hostId: string): Promise<void> {
    await this.#world.storage.run(async (tx) => {
      const machine = await tx.machines.find(id);
      if (!machine?.cloudPlace || machine.cloudPlace.hostId === hostId) return;
      await tx.machines.update({ ...machine, cloudPlace: { ...machine.cloudPlace, hostId } });
    });
  }

  /** Forgets a machine that nobody holds. */
  async forget(id: MachineId, by: Asker): Promise<void> {
    await this.#authorise(by, 'machine.forget', id);
    await this.#world.storage.run(async (tx) => {
      const machine = await tx.machines.find(id);
      if (!machine) throw new ServiceError({ code: 'machine.unknown', what: `there is no machine ${id}` });
      const claim = await tx.claims.find(id);
      if (claim)
        throw new ServiceError({
          code: 'claim.machine-taken',
          what: `${claim.externalId} holds the machine`,
          where: machine.hostname,
        });
      if (await tx.journal.active(id))
        throw new ServiceError({
          code: 'operation.conflict',
          what: 'an operation is running',
          where: machine.hostname,
        });
      await tx.machines.delete(id, machine.version);
      for (const kind of ['machine', 'bmc'] as const) await tx.quarantines.forget({ kind, name: id });
    });
    this.#world.events.emit('machine', { machineId: id });
  }

  /**
   * The power of the instance on a machine as CloudStack may be told it: complete, or null where anything is uncertain: an
   * operation runs, the BMC cannot be read, the machine is withheld (law 7).
   */
  async powerReport(id: MachineId): Promise<PowerReport | null> {
    const { storage, power } = this.#world;
    const before = await storage.run(async (tx) => ({
      machine: await tx.machines.find(id),
      claim: await tx.claims.find(id),
      active: await tx.journal.active(id),
    }));
    if (!before.machine || before.machine.quarantine || before.active) return null;
    // Whoever else holds it, no instance of CloudStack's runs there.
    if (before.claim?.holder !== 'instance') return new Map();
    const state = await power.state(before.machine).catch(() => null);
    // An operation may have begun meanwhile and be the reason for what was read.
    const active = await storage.run((tx) => tx.journal.active(id));
    return state === null || active ? null : reportOf(before.claim, state);
  }

  /**
   * The same from what was last read in the background, if it is no older than `maxAge`: for reports that come by themselves, by
   * the thousand. One unit of work, and no secret is opened for it.
   */
  async observedPowerReport(id: MachineId, maxAge: Duration): Promise<PowerReport | null> {
    const { storage, power } = this.#world;
    return storage.run(async (tx) => {
      // Before the journal is asked: an operation that is the reason for what was read shows there.
      const state = power.observed(id, maxAge)?.state ?? null;
      if ((await tx.machines.isWithheld(id)) !== false || (await tx.journal.active(id))) return null;
      const claim = await tx.claims.find(id);
      if (claim?.holder !== 'instance') return new Map();
      return state && reportOf(claim, state);
    });
  }
}

/** Whether it is one and the same device, asked in the same way. */
function isSameBmc(before: BmcRecord | null, { host, port, driver }: Amendment['bmc'] & object): boolean {
  return before !== null && before.host === host && before.port === port && before.driver === driver;
}

/** The power of every instance on a machine, by CloudStack's own name. */
type PowerReport = ReadonlyMap<string, 'PowerOn' | 'PowerOff'>;

function reportOf(claim: Claim, state: PowerState): PowerReport {
  return new Map([[instanceName(claim.externalId), state === 'on' ? 'PowerOn' : 'PowerOff']]);
}

/** CloudStack's own name of the instance: the part of the external id after the cloud. */
function instanceName(externalId: string): string {
  return externalId.slice(externalId.indexOf('/') + 1);
}

/** Ports that are not minded any more would stay in the tenant's VLANs, whatever becomes of the tenant. */
async function refuseOtherWiring(tx: Tx, known: Machine, changed: Machine): Promise<void> {
  if (changed.wiring === known.wiring) return;
  const claim = await tx.claims.find(known.id);
  if (!claim) return;
  throw new ServiceError({
    code: 'claim.machine-taken',
    what: `${claim.externalId} holds the machine: its wiring stays "${known.wiring}" until it is free`,
    where: known.hostname,
  });
}

function described(
  id: MachineId,
  enrolment: Enrolment,
  macs: readonly Mac[],
  known: Machine | null,
): Pick<
  Machine,
  | 'hostname'
  | 'site'
  | 'pool'
  | 'engine'
  | 'wiring'
  | 'bmc'
  | 'firmware'
  | 'nics'
  | 'rootDiskSerial'
  | 'cloudPlace'
> {
  const { bmc, cloudPlace, hostname } = enrolment;
  const facts = (mac: Mac, index: number): NicFacts =>
    known?.nics.find((nic) => nic.mac === mac) ?? {
      name: `nic${index}`,
      mac,
      linkUp: false,
      speedMbps: null,
      neighbour: null,
    };
  return {
    hostname,
    site: enrolment.site ?? known?.site ?? 'default',
    pool: enrolment.pool ?? known?.pool ?? 'default',
    engine: enrolment.engine ?? known?.engine ?? 'native',
    wiring: enrolment.wiring ?? known?.wiring ?? 'managed',
    firmware: enrolment.firmware ?? known?.firmware ?? 'legacy',
    rootDiskSerial: enrolment.rootDiskSerial ?? known?.rootDiskSerial ?? null,
    nics: [...macs.map(facts), ...(known?.nics.filter((nic) => !macs.includes(nic.mac)) ?? [])],
    bmc: {
      driver: bmc.driver ?? known?.bmc?.driver ?? 'ipmi',
      host: bmc.host,
      port: bmc.port ?? 623,
      username: bmc.username,
      password: bmc.password,
      kg: bmc.kg ?? known?.bmc?.kg ?? null,
      privilege: bmc.privilege ?? known?.bmc?.privilege ?? 'operator',
      minSuite: bmc.minSuite ?? known?.bmc?.minSuite ?? 3,
      knownSuite: known?.bmc?.host === bmc.host ? known.bmc.knownSuite : null,
    },
    cloudPlace: cloudPlace
      ? {
          ...cloudPlace,
          hostTag:
            cloudPlace.hostTag === undefined ? (known?.cloudPlace?.hostTag ?? null) : cloudPlace.hostTag,
          guid: known?.cloudPlace?.guid ?? `csbm-${id}`,
          hostId: known?.cloudPlace?.hostId ?? null,
        }
      : (known?.cloudPlace ?? null),
  };
}
