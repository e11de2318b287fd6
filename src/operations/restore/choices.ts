import type { ObservedPort } from '../../../plugin-api/index.ts';
import { inTransit, type Machine } from '../../core/machine/machine.ts';
import type { Difference } from '../../core/storage/history-records.ts';
import type { Tx } from '../../core/storage/storage.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { beginClaim, endClaim } from '../claims.ts';
import { quarantine } from '../machine-state.ts';
import type { DeviceReadings } from '../survey/read-devices.ts';
import type { StoredState } from '../survey/stored-state.ts';
import type { World } from '../world.ts';
import { portsOf, strangersOf, tenantsIn, type PortPair } from './differences.ts';

/**
 * What becomes of a machine that differs. `quarantine` = it is withheld, its ports stay as they are. `keep` = the database is right.
 * `adopt` = the devices are right: what they show is written down, with the instance that a person says runs there.
 */
export type Choice =
  | { readonly do: 'quarantine' }
  | { readonly do: 'keep' }
  | { readonly do: 'adopt'; readonly holder: string | null };

interface Settling {
  readonly machine: Machine;
  readonly stored: StoredState;
  readonly readings: DeviceReadings;
  readonly differences: readonly Difference[];
  readonly choice: Choice | undefined;
  /** Principal who accepts. */
  readonly by: string;
}

type Surroundings = Pick<World, 'boots' | 'clock' | 'log' | 'metrics'>;

/**
 * Settles one machine in the database; no device is touched. An operation of the old journal ends here, whatever was chosen.
 * @throws ServiceError `request.invalid` for a choice that this machine does not allow
 */
export async function settleMachine(
  tx: Tx,
  world: Surroundings,
  settling: Settling,
): Promise<{ readonly done: string; readonly ended: string | null }> {
  const { machine, stored, differences } = settling;
  const choice: Choice = settling.choice ?? { do: 'quarantine' };
  const unsettled = stored.active.has(machine.id) || inTransit.includes(machine.state);
  const dirty = machine.state === 'failed' && !machine.clean && !stored.claims.has(machine.id);
  if (choice.do === 'keep' && (unsettled || dirty))
    throw invalid(
      machine,
      'an operation was under way, or an erase was due: what the database says is no state to keep',
    );
  const ended = await endOperation(tx, world, settling);
  if (choice.do === 'keep') return { done: 'as the database says', ended };
  const pairs = portsOf(machine, stored, settling.readings);
  await adoptPorts(tx, world, machine, pairs);
  if (choice.do === 'adopt') return { done: await adopt(tx, world, settling, choice.holder, pairs), ended };
  await withhold(tx, world, settling, differences.map(({ what }) => what).join('; '));
  return { done: 'quarantined, ports untouched', ended };
}

/** An operation of the old journal is not gone on with: the world has moved on, and it may be long over. */
async function endOperation(
  tx: Tx,
  world: Surroundings,
  { machine, stored }: Settling,
): Promise<string | null> {
  const active = stored.active.get(machine.id);
  if (!active) return null;
  const operation = await tx.journal.find(active.operation.id);
  if (!operation || operation.endedAt !== null) return null;
  const error = new ServiceError({
    code: 'restore.not-resumed',
    what: 'the database was restored while it was under way',
    where: machine.hostname,
  });
  const { code, retry, what, where, remedy } = error;
  await tx.journal.update({
    ...operation,
    state: 'failed',
    endedAt: world.clock.now(),
    error: { code, retry, what, where, remedy },
  });
  // What it had ready for the machine's next boot is not handed out any more.
  for (const phase of ['commission', 'deploy', 'erase'])
    await world.boots.withdraw(`${operation.id}:${phase}`);
  return operation.id;
}

async function withhold(tx: Tx, world: Surroundings, { machine, by }: Settling, what: string): Promise<void> {
  const fresh = (await tx.machines.find(machine.id))!;
  if (inTransit.includes(fresh.state)) await tx.machines.update({ ...fresh, state: 'failed', clean: null });
  const error = new ServiceError({ code: 'restore.difference', what });
  await quarantine(tx, world, machine.id, error, fresh.quarantine?.fenced ?? false, by);
}

/**
 * From now on the ports are wanted as they are: so nobody changes them, and their VLANs stay on the uplinks, which they would leave
 * if nobody seemed to use them.
 */
async function adoptPorts(
  tx: Tx,
  world: Surroundings,
  machine: Machine,
  pairs: readonly PortPair[],
): Promise<void> {
  for (const { at, place, record, seen } of pairs) {
    const now = seen?.ports.get(place.port);
    if (!now || !at) continue;
    const { native, tagged, admin } = now;
    const purpose = tenantsIn(now, at).length > 0 ? 'tenant' : (record?.purpose ?? 'park');
    if (record?.purpose === 'fenced' && admin === 'down') continue;
    const desired = { native: plainNative(now), tagged, admin };
    const wanted = await tx.ports.desire({ ...place, machineId: machine.id, purpose, desired });
    await tx.ports.observe({
      ...place,
      observed: { ...now, native },
      observedVersion: wanted.desiredVersion,
      observedAt: world.clock.now(),
    });
  }
}

/** Ports of machines that the database does not know stay as they are, and their VLANs on the uplinks: a tenant may be there. */
export async function keepStrangers(
  tx: Tx,
  { clock }: Pick<World, 'clock'>,
  stored: StoredState,
  readings: DeviceReadings,
): Promise<void> {
  for (const { place, now } of strangersOf(stored, readings)) {
    const { tagged, admin } = now;
    const desired = { native: plainNative(now), tagged, admin };
    const wanted = await tx.ports.desire({ ...place, machineId: null, purpose: 'tenant', desired });
    const observed = { ...now, native: desired.native };
    const reached = { observedVersion: wanted.desiredVersion, observedAt: clock.now() };
    await tx.ports.observe({ ...place, observed, ...reached });
  }
}

/** A port that is shut is in the default VLAN only because the switch has no other place for it. */
function plainNative({ native, admin }: ObservedPort): ObservedPort['native'] {
  return admin === 'down' && native === 'default' ? null : native;
}

async function adopt(
  tx: Tx,
  world: Surroundings,
  settling: Settling,
  holder: string | null,
  pairs: readonly PortPair[],
): Promise<string> {
  const { machine, readings, stored } = settling;
  const reading = readings.bmcs.get(machine.id);
  const power = reading && 'power' in reading ? reading.power : null;
  if (power === null || pairs.some(({ seen }) => seen === null))
    throw invalid(machine, 'its BMC or a switch could not be read: there is nothing to adopt');
  const used =
    power === 'on' ||
    pairs.some(({ at, place, seen }) => {
      const now = seen?.ports.get(place.port);
      return now !== undefined && at !== null && tenantsIn(now, at).length > 0;
    });
  const claim = stored.claims.get(machine.id);
  const known = { state: power, at: world.clock.now() };
  const fresh = (await tx.machines.find(machine.id))!;
  await tx.machines.update({ ...fresh, power: known });
  if (!used) {
    if (holder !== null)
      throw invalid(machine, 'it is off and on no tenant network: nobody can be said to run there');
    if (claim) await giveBack(tx, world, machine, claim.externalId);
    await withhold(
      tx,
      world,
      settling,
      'free by what its devices show; what is on its disks is not known: erase it',
    );
    return claim
      ? `${claim.externalId} holds it no more; withheld until it is erased`
      : 'withheld until it is erased';
  }
  if (holder === null && !claim)
    throw invalid(
      machine,
      'something runs there: say which instance, adopt:CLOUD/INSTANCE, or leave it quarantined',
    );
  if (holder !== null && holder !== claim?.externalId) {
    if (claim) await giveBack(tx, world, machine, claim.externalId);
    await beginClaim(tx, {
      machineId: machine.id,
      holder: 'instance',
      externalId: holder,
      owner: '',
      instanceUuid: null,
      since: world.clock.now(),
    });
  }
  const now = (await tx.machines.find(machine.id))!;
  if (now.state !== 'deployed') await tx.machines.update({ ...now, state: 'deployed', clean: null });
  return `as its devices show, held by ${holder ?? claim!.externalId}`;
}

async function giveBack(tx: Tx, world: Surroundings, machine: Machine, externalId: string): Promise<void> {
  await endClaim(tx, machine.id, externalId, world.clock.now());
  const deployment = await tx.deployments.current(machine.id);
  if (deployment) await tx.deployments.update({ ...deployment, state: 'ended', endedAt: world.clock.now() });
  const fresh = (await tx.machines.find(machine.id))!;
  await tx.machines.update({ ...fresh, state: 'failed', clean: null });
}

function invalid(machine: Machine, what: string): ServiceError {
  return new ServiceError({ code: 'request.invalid', what, where: machine.hostname });
}
