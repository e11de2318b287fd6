import { isDeepStrictEqual } from 'node:util';
import { CodedError, type EraseGrade } from '../../plugin-api/index.ts';
import { requesterOf, type Asker } from '../core/access/principal.ts';
import { authoriseOn } from '../core/access/rights.ts';
import { userClaimId, type Claim } from '../core/claim/claim.ts';
import type { Machine, MachineId } from '../core/machine/machine.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { beginClaim, refuseHidden, refuseStranger } from './claims.ts';
import { quarantine, requireMachine } from './machine-state.ts';
import { Machines } from './machines.ts';
import type { Operations, Submitted } from './operations.ts';
import type { Pools } from './pools.ts';
import { profileOf } from './profiles.ts';
import { refuseWithheld } from './quarantine/withhold.ts';
import { refuseUnready, resolveStart, type StartOrder } from './start.ts';
import type { World } from './world.ts';

/** What a user wants deployed. */
export interface DeployOrder {
  /** Name or alias of an image of the machine's engine. */
  readonly image: string;
  /** Verbatim cloud-init user data, or null. */
  readonly userData: string | null;
  readonly sshKeys: readonly string[];
  /** Default the machine's. */
  readonly hostname?: string;
}

/** A machine that a user holds. */
interface Held {
  readonly machine: Machine;
  readonly claim: Claim;
}

/**
 * Machines held by users, from allocation to release. A user acts on what it holds; administrators act on what any user holds; what an instance
 * of CloudStack's holds is for nobody here.
 */
export class Allocations {
  readonly #world: World;
  readonly #operations: Operations;
  readonly #pools: Pools;

  constructor(world: World, operations: Operations, pools: Pools) {
    this.#world = world;
    this.#operations = operations;
    this.#pools = pools;
  }

  /**
   * Holds a ready machine for the asker.
   * @throws ServiceError `claim.machine-taken`, `machine.state`, `machine.quarantined`, `machine.no-evidence`, `pool.door`,
   *   `operation.conflict`, `access.scope`; `machine.unknown` for a user and a machine that CloudStack hands out
   */
  async claim(id: MachineId, by: Asker, options: { readonly agentName?: string } = {}): Promise<void> {
    const { clock, events, instances, log, storage } = this.#world;
    const { hostname } = await storage.run(async (tx) => {
      await instances.machines.alone(tx, id);
      authoriseOn(by, 'machine.claim', await tx.machines.find(id), id);
      const machine = await requireMachine(tx, id);
      const claim = await tx.claims.find(id);
      refuseHidden(by, machine, claim);
      if (claim) throw taken(machine, claim);
      refuseUnready(machine);
      await refuseWithheld(tx, machine);
      if (await tx.journal.active(id))
        throw new ServiceError({
          code: 'operation.conflict',
          what: 'an operation is running',
          where: machine.hostname,
        });
      await this.#pools.refuseDoor(tx, machine, 'maas');
      const claimed = {
        machineId: id,
        holder: 'user',
        externalId: userClaimId(by.principal, id),
        owner: by.principal,
        instanceUuid: null,
        since: clock.now(),
      } as const;
      await beginClaim(tx, claimed, { who: requesterOf(by) });
      const { agentName } = options;
      if (agentName !== undefined && agentName !== '')
        await tx.profiles.save({ ...(await profileOf(tx, id)), agentName });
      return machine;
    });
    log.info({ machine: hostname, by: by.principal }, 'machine allocated');
    events.emit('machine', { machineId: id });
  }

  /**
   * Deploys an image on a machine that the asker holds; claims it first where it is ready and free. What can be refused without touching
   * anything is refused at once; a failure later leaves the machine failed, and held.
   * @throws ServiceError `image.no-match`, `network.interfaces`, `network.provisioning-stay`, `machine.state`, ... and what `claim` throws
   */
  async deploy(id: MachineId, by: Asker, order: DeployOrder): Promise<Submitted> {
    const { machine, claim } = await this.#find(id, by);
    // A repetition of the command that is just being carried out joins it.
    if (claim && machine.state !== 'deploying') refuseUnready(machine);
    const start: Omit<StartOrder, 'externalId' | 'owner'> = {
      holder: 'user',
      template: order.image,
      nics: [],
      hostname: order.hostname ?? machine.hostname,
      sshKeys: order.sshKeys,
      userData: order.userData,
    };
    await resolveStart(this.#world, machine, start);
    if (!claim) await this.claim(id, by);
    const { externalId, owner } = claim ?? {
      externalId: userClaimId(by.principal, id),
      owner: by.principal,
    };
    let submitted: Submitted;
    try {
      submitted = await this.#operations.submit({
        ...start,
        kind: 'start',
        machineId: id,
        requester: by,
        firstDeployment: true,
        externalId,
        owner,
      });
    } catch (thrown) {
      if (!claim) await this.#unclaim(id, by, externalId);
      throw thrown;
    }
    refuseOther(submitted, start, machine);
    return submitted;
  }

  /**
   * Takes a machine back from its user: off, off the network, erased. Where nothing was deployed only the claim goes. One that nobody holds
   * and whose erase failed is erased anew.
   * @throws ServiceError `machine.locked`, `claim.not-held`, `operation.erasing`, ...
   */
  async release(
    id: MachineId,
    by: Asker,
    { grade }: { readonly grade?: EraseGrade } = {},
  ): Promise<Submitted> {
    const { machine, claim } = await this.#find(id, by);
    if (!claim && machine.state === 'failed' && !machine.quarantine) return this.#erase(machine, by, grade);
    if (!claim) return { operation: null, already: `nobody holds ${machine.hostname}` };
    await this.#refuseLocked(machine);
    return this.#destroy(machine, claim, by, grade);
  }

  /** @throws ServiceError `machine.state` where nothing is deployed */
  async powerOn(id: MachineId, by: Asker): Promise<Submitted> {
    const { machine, claim } = await this.#held(id, by);
    return this.#operations.submit({
      kind: 'start',
      machineId: id,
      requester: by,
      firstDeployment: false,
      holder: 'user',
      externalId: claim.externalId,
      owner: claim.owner,
      template: '',
      nics: [],
      hostname: machine.hostname,
      sshKeys: [],
      userData: null,
    });
  }

  /** @param options.hard true = the operating system is not asked first */
  async powerOff(id: MachineId, by: Asker, { hard }: { readonly hard: boolean }): Promise<Submitted> {
    const { claim } = await this.#held(id, by);
    const { externalId } = claim;
    return this.#operations.submit({ kind: 'stop', machineId: id, requester: by, externalId, force: hard });
  }

  /** Power cycle where it is on, power on where it is off. @throws ServiceError `machine.state` where nothing is deployed */
  async powerCycle(id: MachineId, by: Asker): Promise<Submitted> {
    const { claim } = await this.#held(id, by);
    const { externalId } = claim;
    return this.#operations.submit({ kind: 'reboot', machineId: id, requester: by, externalId });
  }

  /**
   * Asks what runs there to stop and undo itself; it goes on doing so after this. A deployment leaves the machine allocated,
   * or failed where its disks may have been written.
   * @throws ServiceError `machine.state` where nothing runs, `operation.conflict` for what must come to its end
   */
  async abort(id: MachineId, by: Asker): Promise<void> {
    const { machine, claim } = await this.#find(id, by);
    refuseStranger(by, machine, claim);
    const active = await this.#world.storage.run((tx) => tx.journal.active(id));
    if (!active)
      throw new ServiceError({
        code: 'machine.state',
        retry: 'never',
        what: `nothing runs there that could be aborted: the machine is ${machine.state}`,
        where: machine.hostname,
        remedy: 'none needed',
      });
    await this.#operations.cancel(active.id, by);
  }

  /**
   * Withholds a machine, and takes it back from its user. An administrator may withhold one that nobody holds.
   * @throws ServiceError `machine.locked`, `claim.not-held`, ...
   */
  async markBroken(id: MachineId, by: Asker, comment: string): Promise<void> {
    const { machine, claim } = await this.#find(id, by);
    refuseStranger(by, machine, claim);
    // Its disks would be erased.
    if (claim) await this.#refuseLocked(machine);
    const error = new CodedError({
      code: 'machine.quarantined',
      retry: 'operator',
      what: `${by.principal}: ${comment.trim() || 'marked broken'}`,
    });
    await this.#world.storage.run((tx) => quarantine(tx, this.#world, id, error, false, by.principal));
    this.#world.events.emit('machine', { machineId: id });
    if (claim) await this.#destroy(machine, claim, by, undefined);
  }

  /**
   * Ends the withholding; a machine without proof of clean disks is erased before it is ready.
   * @throws ServiceError `machine.state` where it is not withheld, `machine.quarantined` where only a device that it needs is, `operation.fenced`, `request.forbidden` for a user
   */
  async markFixed(id: MachineId, by: Asker): Promise<void> {
    const { machine, claim } = await this.#find(id, by, 'machine.withhold');
    if (!machine.quarantine) {
      await this.#world.storage.run((tx) => refuseWithheld(tx, machine));
      throw new ServiceError({
        code: 'machine.state',
        retry: 'never',
        what: `the machine is not broken: it is ${machine.state}`,
        where: machine.hostname,
        remedy: 'none needed',
      });
    }
    const lifted = await new Machines(this.#world).lift(id, by);
    this.#world.events.emit('machine', { machineId: id });
    if (claim || lifted.state !== 'failed') return;
    await this.#erase(machine, by);
  }

  /** An erase without a grade is none: quick is the least there is. */
  #erase({ id }: Machine, by: Asker, asked: EraseGrade = this.#operations.defaultGrade): Promise<Submitted> {
    const grade = asked === 'none' ? 'quick' : asked;
    return this.#operations.submit({ kind: 'erase', machineId: id, requester: by, grade });
  }

  async #refuseLocked({ id, hostname }: Machine): Promise<void> {
    const { locked } = await this.#world.storage.run((tx) => profileOf(tx, id));
    if (locked)
      throw new ServiceError({ code: 'machine.locked', what: 'the machine is locked', where: hostname });
  }

  #destroy(
    machine: Machine,
    { externalId }: Claim,
    by: Asker,
    grade: EraseGrade | undefined,
  ): Promise<Submitted> {
    return this.#operations.submit({
      kind: 'destroy',
      machineId: machine.id,
      requester: by,
      externalId,
      grade,
    });
  }

  /** A claim that was made only for what was then refused. */
  async #unclaim(id: MachineId, by: Asker, externalId: string): Promise<void> {
    const { log, storage } = this.#world;
    const claim = await storage.run((tx) => tx.claims.find(id));
    if (claim?.externalId !== externalId) return;
    await this.release(id, by).catch((thrown: unknown) =>
      log.warn({ machine: id, err: thrown }, 'a claim without a deployment was left'),
    );
  }

  /** A machine that nobody holds, or a user: the asker, where it acts by holding. */
  async #find(
    id: MachineId,
    by: Asker,
    action: 'machine.claim' | 'machine.withhold' = 'machine.claim',
  ): Promise<{ readonly machine: Machine; readonly claim: Claim | null }> {
    return this.#world.storage.run(async (tx) => {
      authoriseOn(by, action, await tx.machines.find(id), id);
      const machine = await requireMachine(tx, id);
      const claim = await tx.claims.find(id);
      if (claim) refuseStranger(by, machine, claim);
      else refuseHidden(by, machine, claim);
      if (claim && claim.holder !== 'user') throw taken(machine, claim);
      return { machine, claim };
    });
  }

  async #held(id: MachineId, by: Asker): Promise<Held> {
    const { machine, claim } = await this.#find(id, by);
    if (claim) return { machine, claim };
    throw new ServiceError({
      code: 'claim.not-held',
      what: 'nobody holds the machine',
      where: machine.hostname,
    });
  }
}

function taken(machine: Machine, claim: Claim): ServiceError {
  return new ServiceError({
    code: 'claim.machine-taken',
    what: `${claim.externalId} holds the machine`,
    where: machine.hostname,
  });
}

/** Who asked for something else must not take what is being deployed for it. */
function refuseOther(
  submitted: Submitted,
  {
    template,
    userData,
    sshKeys,
    hostname,
  }: Pick<StartOrder, 'template' | 'userData' | 'sshKeys' | 'hostname'>,
  machine: Machine,
): void {
  if (!submitted.operation || !submitted.joined) return;
  const { input } = submitted.operation;
  const running = [input['template'], input['userData'], input['sshKeys'], input['hostname']];
  if (isDeepStrictEqual(running, [template, userData, sshKeys, hostname])) return;
  throw new ServiceError({
    code: 'operation.conflict',
    what: 'another deployment of it is running, of another image or with other data',
    where: machine.hostname,
  });
}
