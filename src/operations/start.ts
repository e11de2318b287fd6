import type {
  EngineImage,
  FirstBootData,
  JsonObject,
  NicPlan,
  PhaseOrder,
  PortId,
  VlanId,
} from '../../plugin-api/index.ts';
import type { TenantNetwork } from '../core/claim/deployment.ts';
import { mapTemplate } from '../core/image/template-map.ts';
import type { Machine } from '../core/machine/machine.ts';
import { nativeAt } from '../core/network/port-roles.ts';
import { describePlace, type PortPlace } from '../core/rack/wiring.ts';
import type { Tx } from '../core/storage/storage.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { beginClaim, endClaim } from './claims.ts';
import { done, type Ending, type Step, type StepList, type StepRun } from './journal/step.ts';
import { isFenced, moveMachine, quarantine } from './machine-state.ts';
import { refuseDoor } from './pools.ts';
import { refuseWithheld } from './quarantine/withhold.ts';
import { enginePhase, orderBase } from './steps/engine-phase.ts';
import { backToProvisioning, provisioningWishes, settlePorts, tenantWishes } from './steps/port-steps.ts';
import { bootDevice, powerOff, powerOn } from './steps/power-steps.ts';
import {
  deployedNetwork,
  instanceNetwork,
  interfaceNetwork,
  type ResolvedNetwork,
  type StartNic,
} from './tenant-network.ts';
import type { World } from './world.ts';

/** What a Start is asked for. */
export interface StartOrder {
  /** For whom: an instance of CloudStack's, or a user, whose network is what the machine's interfaces say. Default instance. */
  readonly holder?: 'instance' | 'user' | undefined;
  /** Unique name of the instance: `<cloud>/i-2-77-VM`; of a user's claim `userClaimId`. */
  readonly externalId: string;
  /** Who owns the instance over there, for the records. */
  readonly owner: string;
  /** Template URL or name. */
  readonly template: string;
  /** Of an instance; none for a user. */
  readonly nics: readonly StartNic[];
  readonly hostname: string;
  readonly sshKeys: readonly string[];
  readonly userData: string | null;
  /** CloudStack's UUID of the instance, where the door knows it. */
  readonly instanceUuid?: string | undefined;
  /** Marks of whose instance it is, for a deploy engine that keeps such: `accountid_<uuid>`. */
  readonly tags?: readonly string[] | undefined;
}

/** A Start as it is journaled. */
export interface StartInput extends StartOrder, JsonObject {
  readonly list: 'start-first' | 'start-known';
}

/** What a Start finds out on its way. */
interface StartContext extends JsonObject {
  readonly image: string;
  readonly rawBytes: number;
  readonly nicPlan: JsonNicPlan;
  readonly native: number | 'provisioning' | null;
  readonly tagged: readonly number[];
  /** Ports in use and ports left out, as `switch`, `port`. */
  readonly used: readonly JsonPlace[];
  readonly parked: readonly JsonPlace[];
  /** Known start only: the ports must change in a way that needs the machine off. */
  readonly mustBeOff: boolean;
}

interface JsonPlace extends JsonObject {
  readonly switch: string;
  readonly port: string;
}
type JsonNicPlan = readonly JsonObject[];
type Run = StepRun<StartContext>;

// ---- a new instance on a ready machine -----------------------------------------------------------------------------

/** The first deployment: from a ready, clean machine to a running tenant OS (design section 5). */
export const startFirst: StepList<StartContext> = {
  name: 'start-first',
  version: 1,
  kind: 'start',
  cancellable: true,
  onFailure: 'undo',
  steps: [
    claimMachine(),
    resolve(),
    powerOff('power.off'),
    settlePorts<StartContext>('ports.provisioning', provisioningWishes, { undo: backToProvisioning }),
    ...enginePhase<StartContext>({
      phase: 'deploy',
      order: deployOrder,
      onPowerOn: openDeployment,
      onWithdraw: endDeployment,
    }),
    settlePorts<StartContext>('ports.tenant', (run, machine) => tenantWishes(run, machine, networkOf(run)), {
      undo: backToProvisioning,
    }),
    bootDevice('boot-device.disk', 'disk'),
    powerOn('power.on'),
    finish('installed'),
  ],
  failed: {
    commit: async (tx, run, error) => {
      if (!isForUser(run)) await dropClaim(tx, run);
      const machine = await tx.machines.find(run.operation.machineId);
      // What may have been written must be erased before anybody else gets the machine. A user keeps it, and sees that it failed.
      const blank = machine?.clean && (!isForUser(run) || error?.code === 'operation.cancelled');
      if (machine?.state === 'deploying') await moveMachine(tx, machine.id, blank ? 'ready' : 'failed');
      run.world.log.info({ operation: run.operation.id, code: error?.code }, 'start failed and was undone');
    },
  },
  stuck: stuckEnding(),
};

/** Holds the machine for the instance, if it may have it. */
function claimMachine(): Step<StartContext> {
  return {
    name: 'claim',
    kind: 'checkable',
    prepare: async (tx, run) => {
      const input = inputOf(run);
      const machine = await tx.machines.find(run.operation.machineId);
      if (!machine)
        throw new ServiceError({
          code: 'machine.unknown',
          what: `there is no machine ${run.operation.machineId}`,
        });
      refuseUnready(machine);
      const claim = await tx.claims.find(machine.id);
      if (claim && !(isForUser(run) && claim.externalId === input.externalId))
        throw new ServiceError({
          code: 'claim.machine-taken',
          what: `${claim.externalId} holds the machine`,
          where: machine.hostname,
        });
      if (!claim) {
        await refuseNewClaim(tx, run, machine);
        const claimed = {
          machineId: machine.id,
          holder: input.holder ?? 'instance',
          externalId: input.externalId,
          owner: input.owner,
          instanceUuid: input.instanceUuid ?? null,
          since: run.world.clock.now(),
        };
        await beginClaim(tx, claimed, { operationId: run.operation.id });
      }
      await moveMachine(tx, machine.id, 'deploying');
    },
    run: async (run) => done(`${(await run.machine()).hostname} is claimed by ${inputOf(run).externalId}`),
    undo: { none: 'the claim is dropped by the ending, once everything else is undone' },
    plan: async (run) => {
      const machine = await run.machine();
      refuseUnready(machine);
      await run.world.storage.run(async (tx) => {
        if (!(await tx.claims.find(machine.id))) await refuseNewClaim(tx, run, machine);
      });
      return [`claim ${machine.hostname} for ${inputOf(run).externalId}`];
    },
  };
}

/** @throws ServiceError `machine.quarantined`, `machine.state`, `machine.no-evidence` */
export function refuseUnready(machine: Machine): void {
  if (machine.quarantine)
    throw new ServiceError({
      code: 'machine.quarantined',
      what: machine.quarantine.reason,
      where: machine.hostname,
    });
  if (machine.state !== 'ready')
    throw new ServiceError({
      code: 'machine.state',
      what: `the machine is ${machine.state}, not ready`,
      where: machine.hostname,
    });
  if (!machine.clean)
    throw new ServiceError({
      code: 'machine.no-evidence',
      what: 'nothing proves that its disks are clean',
      where: machine.hostname,
    });
}

/** Finds image, VLANs, ports and NIC plan, or refuses: nothing is touched before everything is known. */
function resolve(): Step<StartContext> {
  return {
    name: 'resolve',
    kind: 'checkable',
    noIntent: true,
    run: async (run) => {
      const machine = await run.machine();
      const { image, found } = await resolveStart(run.world, machine, inputOf(run), run.signal);
      return done(
        `image ${image.name}; ${describeLink(found.planned.plan)}; ${describeVlans(found)} on ` +
          (found.used.length > 0 ? found.used.map(describePlace).join(' and ') : 'no managed port'),
        { context: { image: image.name, rawBytes: image.rawBytes, mustBeOff: true, ...contextOf(found) } },
      );
    },
    undo: { none: 'it touches nothing' },
  };
}

/**
 * What a first deployment would do, or why it cannot: by the state of this moment, touching nothing.
 * @throws ServiceError `image.no-match`, `network.interfaces`, `wiring.none`, ...
 */
export async function resolveStart(
  world: World,
  machine: Machine,
  order: Pick<StartOrder, 'holder' | 'template' | 'nics'>,
  signal?: AbortSignal,
): Promise<{ readonly image: EngineImage; readonly found: ResolvedNetwork }> {
  const image = mapTemplate(order.template, await world.engine(machine.engine).images());
  await refuseSpoilt(world, machine, image.name);
  // Whoever has taken it over there, behind our back, must not have it switched off and moved to another network.
  const { hostname, nics } = machine;
  const macs = nics.map(({ mac }) => mac);
  await world.engine(machine.engine).refuseTaken?.({ phase: 'deploy', hostname, macs }, signal);
  const found =
    order.holder === 'user'
      ? await interfaceNetwork(world, machine, image)
      : await instanceNetwork(world, machine, image, order.nics);
  return { image, found };
}

/** An image whose file is gone would be missed only by a machine that has booted for it, and by every next one too. */
async function refuseSpoilt(world: World, machine: Machine, image: string): Promise<void> {
  const fault = (await world.engine(machine.engine).imageFault?.(image)) ?? null;
  if (fault === null) return;
  throw new ServiceError({
    code: 'image.storage',
    what: fault,
    remedy: 'remove the image and upload it again',
  });
}

/** The operation's deployment exists, and the disks stop being clean, from the moment the machine may write. */
async function openDeployment(tx: Tx, run: Run): Promise<void> {
  const { operation, world } = run;
  if (!(await tx.deployments.find(operation.id))) {
    await tx.deployments.insert({
      id: operation.id,
      machineId: operation.machineId,
      externalId: inputOf(run).externalId,
      image: run.context.image,
      nicPlan: nicPlanOf(run),
      firstBoot: firstBootOf(run),
      network: networkOf(run),
      state: 'installing',
      evidence: null,
      createdAt: world.clock.now(),
      endedAt: null,
      version: 1,
    });
  }
  await moveMachine(tx, operation.machineId, 'deploying', { clean: null });
}

async function endDeployment(tx: Tx, run: Run): Promise<void> {
  const deployment = await tx.deployments.find(run.operation.id);
  if (deployment && deployment.state !== 'ended') {
    await tx.deployments.update({ ...deployment, state: 'ended', endedAt: run.world.clock.now() });
  }
}

async function deployOrder(run: Run): Promise<PhaseOrder> {
  const machine = await run.machine();
  return {
    ...(await orderBase(run, 'deploy')),
    image: run.context.image,
    nicPlan: nicPlanOf(run),
    firstBoot: firstBootOf(run),
    rootDisk: { serial: machine.rootDiskSerial ?? undefined },
    disks: machine.disks,
    tags: inputOf(run).tags ?? [],
  };
}

/** What keeps a machine that nobody holds from being claimed. */
async function refuseNewClaim(tx: Tx, run: Run, machine: Machine): Promise<void> {
  await refuseWithheld(tx, machine);
  await refuseDoor(tx, machine, isForUser(run) ? 'maas' : 'cloudstack');
}

function dropClaim(tx: Tx, run: Run): Promise<void> {
  return endClaim(tx, run.operation.machineId, inputOf(run).externalId, run.world.clock.now());
}

// ---- an instance that is already on this machine --------------------------------------------------------------------

/** A known instance starts again: ports verified and repaired, boot from disk, never reinstalled. */
export const startKnown: StepList<StartContext> = {
  name: 'start-known',
  version: 1,
  kind: 'start',
  cancellable: true,
  onFailure: 'undo',
  steps: [
    resolveKnown(),
    powerOff('power.off', { applies: (context) => context.mustBeOff }),
    settlePorts<StartContext>('ports.tenant', (run, machine) => tenantWishes(run, machine, networkOf(run)), {
      whileOn: (context) => !context.mustBeOff,
      undo: { none: 'they are the ports of this tenant, who keeps the machine' },
    }),
    bootDevice('boot-device.disk', 'disk'),
    powerOn('power.on'),
    finish('running'),
  ],
  failed: {
    commit: async (_tx, run, error) =>
      run.world.log.info(
        { operation: run.operation.id, code: error?.code },
        'start of a known instance failed',
      ),
  },
  stuck: stuckEnding(),
};

/** Compares what the command says, what was deployed, and what the switches show. */
function resolveKnown(): Step<StartContext> {
  return {
    name: 'resolve',
    kind: 'checkable',
    noIntent: true,
    run: async (run) => {
      const machine = await run.machine();
      if (machine.quarantine)
        throw new ServiceError({
          code: 'machine.quarantined',
          what: machine.quarantine.reason,
          where: machine.hostname,
        });
      const deployment = await run.world.storage.run((tx) => tx.deployments.current(machine.id));
      if (deployment?.state !== 'installed') {
        throw new ServiceError({
          code: 'claim.unknown-instance',
          what: 'the instance holds the machine, but nothing is installed on it',
          where: machine.hostname,
        });
      }
      const canBond = deployment.nicPlan.some((entry) => entry.kind === 'bond');
      const found = isForUser(run)
        ? await deployedNetwork(run.world, machine, deployment)
        : await instanceNetwork(run.world, machine, { canBond }, inputOf(run).nics);
      const [power, ports] = await Promise.all([
        run.world.power.state(machine, run.signal),
        run.world.ports.observe([...found.used, ...found.parked], run.signal),
      ]);
      const natives = new Map(
        found.used.map((port) => [describePlace(port), nativeAt(port.at, found.planned.native)]),
      );
      const drift = ports.filter(({ place, observed }) => {
        const native = natives.get(describePlace(place));
        return native !== undefined && observed?.native !== native;
      });
      const mustBeOff = drift.length > 0;
      return done(
        `known instance, ${deployment.image} is installed; power ${power}; ` +
          (mustBeOff
            ? `drift on ${drift.map(({ place }) => describePlace(place)).join(', ')}: repaired while off`
            : 'native VLAN in place'),
        { context: { image: deployment.image, rawBytes: 0, mustBeOff, ...contextOf(found) } },
      );
    },
    undo: { none: 'it touches nothing' },
  };
}

// ---- both -----------------------------------------------------------------------------------------------------------

/** The machine runs the tenant's OS: deployment and machine say so in the same transaction as the last outcome. */
function finish(what: 'installed' | 'running'): Step<StartContext> {
  return {
    name: 'finish',
    kind: 'checkable',
    noIntent: true,
    run: async (run) =>
      done(`${(await run.machine()).hostname}: ${run.context.image} ${what} for ${inputOf(run).externalId}`, {
        commit: async (tx) => {
          const deployment = await tx.deployments.current(run.operation.machineId);
          if (deployment)
            await tx.deployments.update({ ...deployment, state: 'installed', network: networkOf(run) });
          await moveMachine(tx, run.operation.machineId, 'deployed');
        },
      }),
    undo: { none: 'it is the last step' },
    plan: async (run) => [`record ${inputOf(run).externalId} as ${what}`],
  };
}

/** The way back failed too: withhold the machine. The claim goes only when the fence is proven, so that nobody else starts the instance. */
function stuckEnding(): Ending<StartContext> {
  return {
    commit: async (tx, run, error) => {
      const fenced = await isFenced(tx, run.operation.machineId);
      if (fenced && !isForUser(run) && run.operation.input['list'] === 'start-first')
        await dropClaim(tx, run);
      const machine = await tx.machines.find(run.operation.machineId);
      if (machine?.state === 'deploying') await moveMachine(tx, machine.id, 'failed');
      if (error) await quarantine(tx, run.world, run.operation.machineId, error, fenced);
    },
  };
}

function describeLink(plan: NicPlan): string {
  const link = plan[0]!;
  return link.kind === 'bond'
    ? `bond of ${link.members.length} NICs with MAC ${link.mac}`
    : `single NIC with MAC ${link.mac}`;
}

function describeVlans({ planned: { native, tagged } }: ResolvedNetwork): string {
  const untagged =
    native === null
      ? 'nothing untagged'
      : native === 'provisioning'
        ? 'the provisioning network untagged'
        : `VLAN ${native} untagged`;
  return tagged.length > 0 ? `${untagged}, ${tagged.join(', ')} tagged` : untagged;
}

function contextOf(
  found: ResolvedNetwork,
): Pick<StartContext, 'nicPlan' | 'native' | 'tagged' | 'used' | 'parked'> {
  const place = ({ switch: name, port }: PortPlace): JsonPlace => ({ switch: name, port });
  return {
    nicPlan: found.planned.plan.map((entry) => ({ ...entry })),
    native: found.planned.native,
    tagged: found.planned.tagged,
    used: found.used.map(place),
    parked: found.parked.map(place),
  };
}

function inputOf(run: Run): StartInput {
  return run.operation.input as StartInput;
}

/** What was journaled before there were users is an instance's. */
function isForUser(run: Run): boolean {
  return inputOf(run).holder === 'user';
}

/** The context's JSON back in the types that went into it. */
function nicPlanOf(run: Run): NicPlan {
  return run.context.nicPlan as unknown as NicPlan;
}

function networkOf(run: Run): TenantNetwork {
  const places = (list: readonly JsonPlace[]): TenantNetwork['ports'] =>
    list.map((place) => ({ switch: place.switch, port: place.port as PortId }));
  return {
    native: run.context.native as TenantNetwork['native'],
    tagged: run.context.tagged as readonly VlanId[],
    ports: places(run.context.used),
    parked: places(run.context.parked),
  };
}

function firstBootOf(run: Run): FirstBootData {
  const { hostname, sshKeys, userData } = inputOf(run);
  return { instanceId: run.operation.id, hostname, sshKeys, userData };
}
