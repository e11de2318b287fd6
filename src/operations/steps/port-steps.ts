import type { DesiredPort, Evidence } from '../../../plugin-api/index.ts';
import { parkedPort, provisioningPort, shutPort, tenantPort } from '../../core/network/port-roles.ts';
import type { TenantNetwork } from '../../core/claim/deployment.ts';
import type { Machine } from '../../core/machine/machine.ts';
import type { PortPurpose } from '../../core/network/port-state.ts';
import type { Switch } from '../../core/rack/wiring.ts';
import { asCodedError } from '../../kernel/errors/service-error.ts';
import { done, type Outcome, type Step, type StepContext, type StepRun } from '../journal/step.ts';
import type { PortWish } from '../ports/port-service.ts';
import type { World } from '../world.ts';
import { requireOff } from './require-off.ts';

type Wishes<C extends StepContext> = (run: StepRun<C>, machine: Machine) => Promise<readonly PortWish[]>;

/** Every connected port of the machine in the same role; none where wiring is somebody else's. */
async function wishEach(
  run: { readonly world: World },
  machine: Machine,
  purpose: PortPurpose,
  desiredAt: (at: Switch) => DesiredPort,
): Promise<readonly PortWish[]> {
  if (machine.wiring === 'none') return [];
  const wiring = await run.world.ports.wiring(machine);
  return wiring.map(({ at, switch: name, port }) => ({
    switch: name,
    port,
    purpose,
    desired: desiredAt(at),
  }));
}

/** Every connected port of the machine on its switch's provisioning network. */
export function provisioningWishes(
  run: { readonly world: World },
  machine: Machine,
): Promise<readonly PortWish[]> {
  return wishEach(run, machine, 'provisioning', provisioningPort);
}

/** Every connected port of the machine where nothing is. */
export function parkWishes(run: { readonly world: World }, machine: Machine): Promise<readonly PortWish[]> {
  return wishEach(run, machine, 'park', parkedPort);
}

/** The tenant's VLANs on the ports in use; the other connected ports parked. */
export async function tenantWishes(
  run: { readonly world: World },
  machine: Machine,
  network: TenantNetwork,
): Promise<readonly PortWish[]> {
  if (machine.wiring === 'none') return [];
  const wiring = await run.world.ports.wiring(machine);
  const used = new Set(network.ports.map((place) => `${place.switch} ${place.port}`));
  return wiring.map(({ at, switch: name, port }) =>
    used.has(`${name} ${port}`)
      ? { switch: name, port, purpose: 'tenant', desired: tenantPort(at, network) }
      : { switch: name, port, purpose: 'park', desired: parkedPort(at) },
  );
}

/**
 * Brings the machine's ports to a state and reads them back. The desire is written, and anything moved, only once the machine
 * is confirmed off (law 4 a, b, d).
 */
export function settlePorts<C extends StepContext>(
  name: string,
  wishes: Wishes<C>,
  more: Partial<Pick<Step<C>, 'applies' | 'undo'>> & { readonly whileOn?: (context: C) => boolean } = {},
): Step<C> {
  const { whileOn, ...rest } = more;
  return {
    undo: { none: 'this is where a failed operation leaves the ports' },
    ...rest,
    name,
    kind: 'checkable',
    run: async (run) => {
      if (!whileOn?.(run.context)) await requireOff(run);
      const machine = await run.machine();
      return portsAsWished(run, await wishes(run, machine));
    },
    plan: async (run) => {
      const machine = await run.machine();
      const wanted = await wishes(run, machine);
      return wanted.length === 0
        ? ['wiring none: ports are left alone']
        : run.world.ports.plan(machine.id, wanted);
    },
  };
}

/** Back to the provisioning network, only while off (law 6). */
export const backToProvisioning = {
  run: async <C extends StepContext>(run: StepRun<C>): Promise<Outcome<C>> => {
    await requireOff(run);
    return portsAsWished(run, await provisioningWishes(run, await run.machine()));
  },
};

/** Writes the desire, then waits until the switches show it. */
export async function portsAsWished<C extends StepContext>(
  run: StepRun<C>,
  wishes: readonly PortWish[],
): Promise<Outcome<C>> {
  if (wishes.length === 0) return done('wiring none: ports are left alone');
  const { ports, storage } = run.world;
  await storage.run((tx) => ports.desire(tx, run.operation.machineId, wishes));
  const evidence = await ports.settle(wishes, run.signal);
  return done(evidence.map(({ summary }) => summary).join('; '), { data: { ports: summaries(evidence) } });
}

/** What came of a fence. */
export interface Fence {
  /** Whether just now every port was read back shut. */
  readonly shut: boolean;
  /** How far it came, for the reason that goes with it. */
  readonly told: string;
}

/** Shuts every port of the machine (law 4c). */
export async function fencePorts(run: StepRun): Promise<Fence> {
  const { ports, storage } = run.world;
  const machine = await run.machine();
  const wishes = await wishEach(run, machine, 'fenced', () => shutPort);
  if (wishes.length === 0) return { shut: false, told: 'it has no managed ports to shut' };
  await storage.run((tx) => ports.desire(tx, machine.id, wishes));
  try {
    const evidence = await ports.settle(wishes);
    const told = `its ports are shut: ${evidence.map(({ summary }) => summary).join('; ')}`;
    return { shut: true, told };
  } catch (thrown) {
    return { shut: false, told: `and its ports could not all be shut: ${asCodedError(thrown).message}` };
  }
}

function summaries(evidence: readonly Evidence[]): readonly string[] {
  return evidence.map(({ summary }) => summary);
}
