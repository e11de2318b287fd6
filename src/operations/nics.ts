import { parseMac, type JsonObject, type VlanId } from '../../plugin-api/index.ts';
import type { Deployment, TenantNetwork } from '../core/claim/deployment.ts';
import { vlanOfUri } from '../core/network/nic-plan.ts';
import { reservedVlans } from '../core/network/port-roles.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { refuseForeignVlans } from './foreign-vlans.ts';
import { done, type Outcome, type Step, type StepList, type StepRun } from './journal/step.ts';
import { portsAsWished, settlePorts, tenantWishes } from './steps/port-steps.ts';

/** A NIC to be plugged or unplugged. */
export interface NicOrder {
  readonly externalId: string;
  readonly mac: string;
  readonly broadcastUri: string | null;
  readonly defaultNic: boolean;
}

interface NicInput extends NicOrder, JsonObject {
  readonly broadcastUri: string | null;
}

interface NicContext extends JsonObject {
  readonly vlan: number;
  /** Tagged VLANs before and after. */
  readonly before: readonly number[];
  readonly after: readonly number[];
}

type Run = StepRun<NicContext>;

/** PlugNic: the NIC's VLAN tagged on every port of the tenant, also while the machine runs (law 4b). */
export const plugNic: StepList<NicContext> = nicList('plug-nic', 'plugged into', (tagged, vlan) =>
  [...new Set([...tagged, vlan])].sort((a, b) => a - b),
);

/** UnPlugNic: the VLAN taken off again. The default NIC cannot be unplugged. */
export const unplugNic: StepList<NicContext> = nicList('unplug-nic', 'unplugged from', (tagged, vlan) =>
  tagged.filter((other) => other !== vlan),
);

function nicList(
  kind: 'plug-nic' | 'unplug-nic',
  verb: string,
  change: (tagged: readonly VlanId[], vlan: VlanId) => readonly VlanId[],
): StepList<NicContext> {
  return {
    name: kind,
    version: 1,
    kind,
    cancellable: true,
    onFailure: 'undo',
    steps: [
      resolve(kind, change),
      settlePorts<NicContext>(
        'ports.tenant',
        async (run, machine) => tenantWishes(run, machine, await networkWith(run, run.context.after)),
        { whileOn: () => true, undo: { run: backAsBefore } },
      ),
      {
        name: 'finish',
        kind: 'checkable',
        run: async (run) =>
          done(`NIC ${inputOf(run).mac} ${verb} VLAN ${run.context.vlan}`, {
            commit: async (tx) => {
              const deployment = await tx.deployments.current(run.operation.machineId);
              if (!deployment) return;
              const tagged = run.context.after as readonly VlanId[];
              await tx.deployments.update({ ...deployment, network: { ...deployment.network, tagged } });
            },
          }),
        undo: { none: 'it is the last step' },
        plan: async (run) => [`record the NIC as ${verb} VLAN ${run.context.vlan}`],
      },
    ],
    failed: {
      commit: async (_tx, run, error) =>
        run.world.log.warn({ operation: run.operation.id, code: error?.code }, `${kind} failed`),
    },
    // The machine runs for its tenant: its ports are repaired at its next Start, and named until then.
    stuck: {
      commit: async (_tx, run, error) =>
        run.world.log.error(
          { operation: run.operation.id, code: error?.code },
          `${kind} failed and could not be undone`,
        ),
    },
  };
}

function resolve(
  kind: 'plug-nic' | 'unplug-nic',
  change: (tagged: readonly VlanId[], vlan: VlanId) => readonly VlanId[],
): Step<NicContext> {
  return {
    name: 'resolve',
    kind: 'checkable',
    noIntent: true,
    run: async (run) => {
      const machine = await run.machine();
      const { network, nicPlan } = await deploymentOf(run);
      const vlan = vlanOfUri(inputOf(run).broadcastUri);
      if (inputOf(run).defaultNic || vlan === network.native) {
        const what =
          kind === 'plug-nic'
            ? `VLAN ${vlan} is the default NIC's already`
            : 'the default NIC cannot be unplugged';
        throw new ServiceError({ code: 'network.default-nic', what, where: machine.hostname });
      }
      const mac = parseMac(inputOf(run).mac);
      const twin = nicPlan.find((entry) => entry.mac === mac);
      // Plugged, it would keep the instance from its next Start, which takes no MAC twice.
      if (kind === 'plug-nic' && twin && (twin.kind === 'vlan' ? twin.vlan : network.native) !== vlan)
        throw new ServiceError({
          code: 'request.invalid',
          what: `another NIC of the instance has the MAC ${mac}`,
          where: machine.hostname,
        });
      const switches = (await run.world.ports.wiring(machine)).map(({ at }) => at);
      for (const at of switches) {
        const taken = reservedVlans(at).find((reserved) => reserved.vlan === vlan);
        if (taken)
          throw new ServiceError({
            code: 'network.reserved-vlan',
            what: `VLAN ${vlan} is ${taken.why} there`,
            where: at.name,
          });
      }
      if (kind === 'plug-nic') await refuseForeignVlans(run.world, machine, switches, [vlan], 'instance');
      const after = change(network.tagged, vlan);
      const ports = network.ports.map((place) => `${place.switch} ${place.port}`).join(' and ');
      return done(`VLAN ${vlan} tagged on ${ports}: ${after.includes(vlan) ? 'wanted' : 'to be taken off'}`, {
        context: { vlan, before: network.tagged, after },
      });
    },
    undo: { none: 'it touches nothing' },
  };
}

async function backAsBefore(run: Run): Promise<Outcome<NicContext>> {
  const machine = await run.machine();
  return portsAsWished(run, await tenantWishes(run, machine, await networkWith(run, run.context.before)));
}

async function networkWith(run: Run, tagged: readonly number[]): Promise<TenantNetwork> {
  return { ...(await deploymentOf(run)).network, tagged: tagged as readonly VlanId[] };
}

async function deploymentOf(run: Run): Promise<Deployment> {
  const deployment = await run.world.storage.run((tx) => tx.deployments.current(run.operation.machineId));
  if (deployment?.state === 'installed') return deployment;
  throw new ServiceError({
    code: 'machine.state',
    retry: 'never',
    what: 'nothing is installed on the machine',
    where: run.operation.machineId,
  });
}

function inputOf(run: Run): NicInput {
  return run.operation.input as NicInput;
}
