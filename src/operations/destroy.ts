import { CodedError, type EraseGrade, type JsonObject } from '../../plugin-api/index.ts';
import type { Tx } from '../core/storage/storage.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { endClaim } from './claims.ts';
import { done, type Step, type StepList, type StepRun } from './journal/step.ts';
import { isFenced, moveMachine, quarantine } from './machine-state.ts';
import { orderId } from './steps/engine-phase.ts';
import { erasePhase } from './steps/erase-phase.ts';
import { tryOff } from './steps/off-or-fence.ts';
import { fencePorts, parkWishes, provisioningWishes, settlePorts } from './steps/port-steps.ts';

export interface DestroyInput extends JsonObject {
  readonly externalId: string;
  readonly grade: EraseGrade;
}

interface DestroyContext extends JsonObject {
  /** Power off could not be confirmed: the ports are shut instead, and the erase stays pending (law 4c). */
  readonly fenced: boolean;
}

type Run = StepRun<DestroyContext>;

/** The name of the step after which the tenant is gone, and the caller may be answered while the erase goes on. */
export const releasedStep = 'ports.clear';

/**
 * Destroy: off, confirmed, or fenced → tenant VLANs off, read back → provisioning → erase → evidence → ready, claim dropped.
 * It must converge: where it fails it stands, and is asked for again.
 */
export const destroy: StepList<DestroyContext> = {
  name: 'destroy',
  version: 1,
  kind: 'destroy',
  cancellable: false,
  onFailure: 'stand',
  steps: [
    offOrFenced(),
    fence(),
    settlePorts<DestroyContext>(releasedStep, parkWishes, { applies: notFenced }),
    settlePorts<DestroyContext>('ports.provisioning', provisioningWishes, { applies: toErase }),
    ...erasePhase<DestroyContext>(toErase),
    finish(),
  ],
  failed: {
    commit: async (tx, run, error) => {
      const gone = (await tx.journal.steps(run.operation.id)).some(
        (step) => step.name === releasedStep && step.state === 'done',
      );
      await moveMachine(tx, run.operation.machineId, 'failed');
      // The tenant is gone from the network: nobody needs this claim any more, but the disks are not proven clean.
      if (gone) await endTenancy(tx, run);
      await run.world.boots.withdrawIn(tx, orderId(run, 'erase'));
      if (gone && error) {
        const fenced = await isFenced(tx, run.operation.machineId);
        await quarantine(tx, run.world, run.operation.machineId, error, fenced);
      }
    },
  },
  stuck: { commit: async () => undefined },
};

function notFenced(context: DestroyContext): boolean {
  return !context.fenced;
}

function toErase(context: DestroyContext, input: JsonObject): boolean {
  return !context.fenced && input['grade'] !== 'none';
}

function offOrFenced(): Step<DestroyContext> {
  return {
    name: 'power.off',
    kind: 'checkable',
    prepare: async (tx, run) => {
      await moveMachine(tx, run.operation.machineId, 'releasing');
    },
    run: async (run) => {
      const failure = await tryOff(run);
      return failure === null
        ? done('off, confirmed', { context: { fenced: false } })
        : done(`power off cannot be confirmed: ${failure.message}`, {
            verified: false,
            context: { fenced: true },
          });
    },
    undo: { none: 'a destroy is not undone' },
    plan: async (run) => [
      run.world.power.planTurn(await run.machine(), 'off'),
      'if that cannot be confirmed: shut every port, quarantine the machine',
    ],
  };
}

function fence(): Step<DestroyContext> {
  return {
    name: 'ports.fence',
    kind: 'checkable',
    applies: (context) => context.fenced,
    run: async (run) => {
      const { shut, told } = await fencePorts(run);
      // An earlier fence proves nothing: a person may have opened a port since.
      if (shut) return done(told);
      throw new ServiceError({
        code: 'operation.fenced',
        retry: 'later',
        what: `power is unknown ${told}`,
        where: (await run.machine()).hostname,
      });
    },
    undo: { none: 'a destroy is not undone' },
    plan: async () => [],
  };
}

function finish(): Step<DestroyContext> {
  return {
    name: 'finish',
    kind: 'checkable',
    run: async (run) => {
      const { grade } = inputOf(run);
      const { hostname } = await run.machine();
      if (run.context.fenced) {
        const reason = new CodedError({
          code: 'operation.fenced',
          retry: 'operator',
          what: 'fenced, power unknown; the erase is pending',
          where: hostname,
        });
        return done(`${hostname}: fenced and quarantined, the erase is pending`, {
          commit: async (tx) => {
            await moveMachine(tx, run.operation.machineId, 'failed', { clean: null });
            await endTenancy(tx, run);
            await quarantine(tx, run.world, run.operation.machineId, reason, true);
          },
        });
      }
      if (grade === 'none') {
        const evidence = {
          summary: `no erase: ${run.operation.requester.principal} chose grade none`,
          verified: false,
        };
        return done(`${hostname}: ready, not erased (grade none)`, {
          commit: async (tx) => {
            await moveMachine(tx, run.operation.machineId, 'ready', {
              clean: { grade, at: run.world.clock.now(), evidence },
            });
            await endTenancy(tx, run);
          },
        });
      }
      return done(`${hostname}: erased and ready`, {
        commit: async (tx) => {
          await moveMachine(tx, run.operation.machineId, 'ready');
          await endTenancy(tx, run);
        },
      });
    },
    undo: { none: 'it is the last step' },
    plan: async (run) => [`machine ready, claim of ${inputOf(run).externalId} dropped`],
  };
}

/** Nobody holds the machine any more, and nothing counts as installed on it. */
export async function endTenancy(
  tx: Tx,
  {
    operation: { machineId },
    world: { clock },
  }: {
    readonly operation: Pick<Run['operation'], 'machineId'>;
    readonly world: Pick<Run['world'], 'clock'>;
  },
): Promise<void> {
  const claim = await tx.claims.find(machineId);
  if (claim) await endClaim(tx, machineId, claim.externalId, clock.now());
  const deployment = await tx.deployments.current(machineId);
  if (deployment) await tx.deployments.update({ ...deployment, state: 'ended', endedAt: clock.now() });
}

function inputOf(run: Run): DestroyInput {
  return run.operation.input as DestroyInput;
}
