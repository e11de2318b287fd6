import {
  DeviceError,
  deviceCodes,
  type DeployPhase,
  type DeviceCode,
  type JsonObject,
  type PhaseOrder,
  type PhaseProgress,
} from '../../../plugin-api/index.ts';
import { ongoing } from '../../core/storage/boot-record.ts';
import type { Tx } from '../../core/storage/storage.ts';
import { done, type Outcome, type Step, type StepContext, type StepRun } from '../journal/step.ts';
import { describePoint, engineEvent, PhasePoints } from '../timeline/engine-events.ts';
import { offOrFence } from './off-or-fence.ts';
import { bootDevice, powerOff, powerOn } from './power-steps.ts';
import { requireOff } from './require-off.ts';

export interface EnginePhase<C extends StepContext> {
  readonly phase: DeployPhase;
  readonly applies?: Step<C>['applies'];
  readonly order: (run: StepRun<C>) => Promise<PhaseOrder>;
  /** Domain change at the moment the machine may begin to be changed: with the intent of its power-on. */
  readonly onPowerOn?: (tx: Tx, run: StepRun<C>) => Promise<void>;
  /** What to keep of a phase that is done; throws when the evidence does not suffice. */
  readonly onDone?: (run: StepRun<C>, progress: PhaseProgress) => Promise<Outcome<C>>;
  /** Domain change when the order is taken back. */
  readonly onWithdraw?: (tx: Tx, run: StepRun<C>) => Promise<void>;
}

/** The id under which engine and boot conversation know a phase of an operation. */
export function orderId(run: StepRun, phase: DeployPhase): string {
  return `${run.operation.id}:${phase}`;
}

/** What orders of all phases have in common. */
export async function orderBase<Phase extends DeployPhase>(run: StepRun, phase: Phase) {
  const { id: machineId, hostname, nics } = await run.machine();
  return { id: orderId(run, phase), phase, machineId, hostname, macs: nics.map(({ mac }) => mac) };
}

/**
 * A phase in which the machine boots into the engine: order → boot device PXE, on → the engine works → off, confirmed. Where the engine
 * drives the power itself, boot device and power are left to it until it is through (law 9).
 */
export function enginePhase<C extends StepContext>(phase: EnginePhase<C>): readonly Step<C>[] {
  const applies = phase.applies ? { applies: phase.applies } : {};
  const applicable: NonNullable<Step<C>['applies']> = (context, input) =>
    phase.applies?.(context, input) ?? true;
  const whenTheirs: typeof applicable = (context, input) =>
    applicable(context, input) && engineDrives(input, phase.phase);
  const whenOurs: typeof applicable = (context, input) =>
    applicable(context, input) && !engineDrives(input, phase.phase);
  return [
    {
      applies: whenTheirs,
      name: `${phase.phase}.hand-over`,
      kind: 'checkable',
      run: async (run) => {
        await requireOff(run);
        return done('off, confirmed; from here on the engine drives the power');
      },
      // Undone after the order is taken back: the power is ours again, and the machine must be off before its ports move.
      undo: { run: offOrFence },
      plan: async (run) => [
        `the engine ${(await run.machine()).engine} drives the power until it is through`,
      ],
    },
    {
      ...applies,
      name: `${phase.phase}.order`,
      kind: 'checkable',
      prepare: async (tx, run) => {
        // Such an engine may begin to change the machine as soon as it has the order.
        if (engineDrives(run.operation.input, phase.phase)) await phase.onPowerOn?.(tx, run);
      },
      run: async (run) => {
        const order = await phase.order(run);
        await (await engineOf(run)).begin(order, run.signal);
        return done(`order ${order.id} placed`);
      },
      undo: {
        run: async (run) => {
          await (await engineOf(run)).withdraw(orderId(run, phase.phase), run.signal);
          return {
            ...done<C>('order withdrawn'),
            ...(phase.onWithdraw && { commit: (tx) => phase.onWithdraw!(tx, run) }),
          };
        },
      },
      plan: async (run) => (await engineOf(run)).plan(await phase.order(run)),
    },
    bootDevice(`${phase.phase}.boot-device`, 'pxe', whenOurs),
    powerOn<C>(`${phase.phase}.power-on`, {
      applies: whenOurs,
      from: 'pxe',
      // The token can be had only from here on: armed in the same transaction as the intent of our own power-on.
      prepare: async (tx, run) => {
        await run.world.boots.arm(tx, orderId(run, phase.phase));
        await phase.onPowerOn?.(tx, run);
      },
      sign: (run) => signOfLife(run, phase.phase),
      onSign: (run, tell) =>
        run.world.boots.onChange(({ orderId: id, state }) => {
          if (id === orderId(run, phase.phase) && state !== 'withdrawn') tell();
        }),
      // A machine that is on already came up while we were away: its boot flag is used up, and it may have given up asking.
      whenOn: (run) => bootAgain(run, phase.phase),
    }),
    {
      ...applies,
      name: `${phase.phase}.wait`,
      kind: 'checkable',
      interruptible: true,
      attempts: 1,
      run: async (run) => {
        const progress = await phaseEnd(run, phase.phase);
        if (phase.onDone) return phase.onDone(run, progress);
        return progress.evidence
          ? { evidence: progress.evidence }
          : done(progress.activity, { verified: false });
      },
      undo: { none: 'what the engine did ends with the power-off and the withdrawn order' },
      plan: async () => [`wait until the engine reports the ${phase.phase} done`],
    },
    powerOff(`${phase.phase}.power-off`, applies),
  ];
}

/** Whether the engine drives the machine's power in the phase: journaled when the operation began. */
export function engineDrives(input: JsonObject, phase: DeployPhase): boolean {
  const phases = input['enginePhases'];
  return Array.isArray(phases) && phases.includes(phase);
}

/** What the machine itself said under this order, or null. */
async function signOfLife(run: StepRun, phase: DeployPhase): Promise<string | null> {
  const progress = await (await engineOf(run)).progress(orderId(run, phase), run.signal);
  return progress?.lastSeen == null ? null : `on: the machine reported in (${progress.activity})`;
}

/** The whole boot once more, for a machine that never asked for it: a new token, off, boot device, on. */
async function bootAgain(run: StepRun, phase: DeployPhase): Promise<void> {
  const { boots, power, storage } = run.world;
  const machine = await run.machine();
  run.progress('the machine never asked for its boot; it is started once more');
  await power.turn(machine, 'off', run.signal);
  await storage.run((tx) => boots.arm(tx, orderId(run, phase)));
  await power.setBootDevice(machine, 'pxe', run.signal);
  await power.turn(machine, 'on', run.signal);
}

/** Waits until the engine reports the phase over. Silence is measured by our own steady clock. */
async function phaseEnd(run: StepRun, phase: DeployPhase): Promise<PhaseProgress> {
  const { boots, events } = run.world;
  const id = orderId(run, phase);
  const stop = boots.onChange(({ orderId, state }) => {
    // How far it is shows at the next look, in time.
    if (orderId === id && !ongoing.includes(state)) events.emit('wake', { operationId: run.operation.id });
  });
  try {
    return await watchPhase(run, phase);
  } finally {
    stop();
  }
}

async function watchPhase(run: StepRun, phase: DeployPhase): Promise<PhaseProgress> {
  const { clock, timings } = run.world;
  const engine = await engineOf(run);
  const id = orderId(run, phase);
  const theirs = engineDrives(run.operation.input, phase);
  const began = clock.monotonic();
  let lastSeen: number | null = null;
  let quietSince = began;
  let answeredAt = began;
  let boots = 1;
  // What the boot conversation hears it records itself.
  const heardElsewhere = (await run.world.boots.progress(id)) !== null;
  const points = new PhasePoints();
  for (;;) {
    const progress = await engine.progress(id, run.signal).catch(async (thrown: unknown) => {
      // An engine that cannot be asked for a while works on: the machine is no worse for it.
      const silent = thrown instanceof DeviceError && thrown.retry === 'later' && !run.signal.aborted;
      if (!silent || clock.monotonic() - answeredAt > timings.deployStalled) throw thrown;
      run.progress(`the engine does not answer: ${thrown.message}`);
      await run.pause(timings.pollInterval);
      return 'silent' as const;
    });
    if (progress === 'silent') continue;
    if (!progress)
      throw new DeviceError({
        code: 'deploy.stalled',
        retry: 'never',
        what: `the engine does not know order ${id} any more`,
      });
    if (!heardElsewhere && points.isNew(progress)) {
      points.told(progress);
      const { machineId } = run.operation;
      const order = { id, machineId, phase };
      run.world.timeline.note(engineEvent(order, describePoint(progress), clock.now()));
    }
    if (progress.state === 'done') return progress;
    if (progress.state === 'failed') throw phaseError(progress);
    const now = clock.monotonic();
    answeredAt = now;
    if (progress.lastSeen !== lastSeen) {
      lastSeen = progress.lastSeen;
      quietSince = now;
    }
    if (now - began > timings[phase])
      throw new DeviceError({
        code: 'deploy.stalled',
        what: `the ${phase} took too long`,
        said: progress.activity,
      });
    if (!theirs && lastSeen === null && now - quietSince > timings.bootSeen) {
      if (boots >= 2) {
        throw new DeviceError({
          code: 'deploy.never-booted',
          what: `no sign of the machine on the provisioning network after ${boots} boots`,
          where: (await run.machine()).hostname,
        });
      }
      boots += 1;
      await bootAgain(run, phase);
      quietSince = clock.monotonic();
    }
    if (lastSeen !== null && now - quietSince > timings.deployStalled) {
      throw new DeviceError({
        code: 'deploy.stalled',
        what: `the machine fell silent during the ${phase}`,
        said: progress.activity,
      });
    }
    run.progress(progress.activity, progress.percent);
    await run.pause(timings.pollInterval);
  }
}

function phaseError(progress: PhaseProgress): DeviceError {
  const { code, said } = progress.error ?? { code: 'deploy.agent-failed', said: progress.activity };
  const known: DeviceCode = code in deviceCodes ? (code as DeviceCode) : 'deploy.agent-failed';
  return new DeviceError({ code: known, what: deviceCodes[known].meaning, said });
}

async function engineOf(run: StepRun): Promise<ReturnType<StepRun['world']['engine']>> {
  return run.world.engine((await run.machine()).engine);
}
