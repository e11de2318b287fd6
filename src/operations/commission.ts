import { DeviceError, type Inventory, type PhaseOrder, type PhaseProgress } from '../../plugin-api/index.ts';
import type { Machine } from '../core/machine/machine.ts';
import { describePlace } from '../core/rack/wiring.ts';
import type { Tx } from '../core/storage/storage.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { done, type Outcome, type Step, type StepList, type StepRun } from './journal/step.ts';
import { moveMachine, quarantine, readyAgain } from './machine-state.ts';
import { bmcTarget } from './power/power-service.ts';
import { enginePhase, orderBase } from './steps/engine-phase.ts';
import { erasePhase } from './steps/erase-phase.ts';
import { backToProvisioning, provisioningWishes, settlePorts } from './steps/port-steps.ts';
import { powerOff } from './steps/power-steps.ts';

/** From an enrolled machine to a ready one: BMC and wiring checked, inventory taken, disks erased. */
export const commission: StepList = {
  name: 'commission',
  version: 1,
  kind: 'commission',
  cancellable: true,
  onFailure: 'undo',
  steps: [
    probeBmc(),
    checkWiring(),
    checkEngine(),
    powerOff('power.off'),
    settlePorts('ports.provisioning', provisioningWishes, { undo: backToProvisioning }),
    ...enginePhase({
      phase: 'commission',
      order: commissionOrder,
      onDone: takeInventory,
    }),
    ...erasePhase((_context, input) => input['grade'] !== 'none'),
    {
      name: 'finish',
      kind: 'checkable',
      run: async (run) =>
        done(`${(await run.machine()).hostname}: ready`, {
          commit: async (tx) => {
            const clean =
              run.operation.input['grade'] === 'none'
                ? {
                    grade: 'none' as const,
                    at: run.world.clock.now(),
                    evidence: {
                      summary: `disks accepted as they are by ${run.operation.requester.principal}`,
                      verified: false,
                    },
                  }
                : undefined;
            await readyAgain(tx, run.world, run.operation.machineId, 'commissioned', clean && { clean });
          },
        }),
      undo: { none: 'it is the last step' },
      plan: async () => ['machine ready'],
    },
  ],
  failed: { commit: backToNew },
  stuck: {
    commit: async (tx, run, error) => {
      await backToNew(tx, run);
      if (error)
        await quarantine(tx, run.world, run.operation.machineId, error, error.code === 'operation.fenced');
    },
  },
};

/** What is still to be commissioned; a machine that was refused at the first step stays what it was. */
async function backToNew(tx: Tx, { operation: { machineId } }: StepRun): Promise<void> {
  const machine = await tx.machines.find(machineId);
  if (machine?.state === 'commissioning') await moveMachine(tx, machineId, 'new');
}

/** First contact with the BMC: credentials, cipher suite, power. */
function probeBmc(): Step {
  return {
    name: 'bmc.probe',
    kind: 'checkable',
    prepare: async (tx, run) => {
      await moveMachine(tx, run.operation.machineId, 'commissioning');
    },
    run: async (run) => {
      const { state, suite } = await run.world.power.probe(await run.machine(), run.signal);
      return done(`the BMC answers with cipher suite ${suite}; power ${state}`, {
        commit: async (tx) => {
          const machine = await tx.machines.find(run.operation.machineId);
          if (machine?.bmc && machine.bmc.knownSuite !== suite)
            await tx.machines.update({ ...machine, bmc: { ...machine.bmc, knownSuite: suite } });
        },
      });
    },
    undo: { none: 'it only reads' },
    plan: async (run) => [`log in to the BMC of ${(await run.machine()).hostname}`],
  };
}

function checkWiring(): Step {
  return {
    name: 'wiring.check',
    kind: 'checkable',
    noIntent: true,
    run: async (run) => {
      const machine = await run.machine();
      if (machine.wiring === 'none') return done('wiring is declared none: its ports are left alone');
      const wiring = await run.world.ports.wiring(machine);
      if (wiring.length === 0)
        throw new ServiceError({
          code: 'wiring.none',
          what: 'none of its MACs is in the rack config',
          where: machine.hostname,
        });
      return done(`connected: ${wiring.map((port) => `${port.mac} to ${describePlace(port)}`).join(', ')}`);
    },
    undo: { none: 'it only reads' },
  };
}

/** Whoever runs something on it over there must not have it switched off and moved to another network. */
function checkEngine(): Step {
  return {
    name: 'engine.check',
    kind: 'checkable',
    noIntent: true,
    run: async (run) => {
      const order = await commissionOrder(run);
      const engine = (await run.machine()).engine;
      await run.world.engine(engine).refuseTaken?.(order, run.signal);
      return done(`nobody uses ${order.hostname} at the engine ${engine}`);
    },
    undo: { none: 'it only reads' },
  };
}

async function commissionOrder(run: StepRun): Promise<Extract<PhaseOrder, { phase: 'commission' }>> {
  const machine = await run.machine();
  return {
    ...(await orderBase(run, 'commission')),
    bmc: machine.bmc ? bmcTarget(machine.bmc) : undefined,
    architecture: machine.architecture,
    firmware: machine.firmware,
  };
}

/** The machine is what its inventory says; NICs known from the rack config stay first, in their order. */
async function takeInventory(run: StepRun, progress: PhaseProgress): Promise<Outcome> {
  const { inventory } = progress;
  if (!inventory)
    throw new DeviceError({ code: 'deploy.agent-failed', what: 'the machine sent no inventory' });
  const machine = await run.machine();
  const missing = machine.nics.filter((nic) => !inventory.nics.some((seen) => seen.mac === nic.mac));
  if (missing.length > 0) {
    throw new DeviceError({
      code: 'deploy.agent-failed',
      retry: 'operator',
      what: `the machine has no NIC ${missing.map((nic) => nic.mac).join(', ')}`,
      where: machine.hostname,
      said: `NICs ${inventory.nics.map((nic) => nic.mac).join(', ')}`,
      remedy: 'correct the MACs of the enrolment or the rack config',
    });
  }
  return done(
    `${inventory.cpus} CPUs, ${Math.round(inventory.memoryBytes / 2 ** 20)} MiB, ${inventory.nics.length} NICs, disks ` +
      (inventory.disks
        .map((disk) => `${disk.name} ${disk.serial} ${Math.round(disk.bytes / 2 ** 20)} MiB`)
        .join(', ') || 'none'),
    {
      commit: async (tx) => {
        const fresh = await tx.machines.find(machine.id);
        if (fresh) await tx.machines.update({ ...fresh, ...asInventoried(fresh, inventory) });
      },
    },
  );
}

function asInventoried(machine: Machine, inventory: Inventory): Partial<Machine> {
  const { cpus, memoryBytes, architecture, firmware, product, serial, disks, nics } = inventory;
  const known = machine.nics.map((nic) => nic.mac);
  const rank = (mac: (typeof known)[number]): number =>
    known.includes(mac) ? known.indexOf(mac) : known.length;
  return {
    cpus,
    memoryBytes,
    architecture,
    // How it has really booted: BMCs ask for it with each boot device, and what the enrolment said may be wrong.
    firmware,
    product,
    serial,
    disks,
    nics: [...nics].sort((a, b) => rank(a.mac) - rank(b.mac)),
  };
}
