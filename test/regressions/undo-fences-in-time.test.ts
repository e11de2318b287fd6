import assert from 'node:assert/strict';
import { DeviceError, milliseconds, type Duration } from '../../plugin-api/index.ts';
import { ManualClock } from '../../src/kernel/clock/manual-clock.ts';
import { ServiceError } from '../../src/kernel/errors/service-error.ts';
import type { StepRun } from '../../src/operations/journal/step.ts';
import { tryOff } from '../../src/operations/steps/off-or-fence.ts';

// A dead BMC was tried three times, a minute each, which used up the three minutes that are kept for undoing: the ports of a machine
// that was perhaps on stayed open, and nobody was told that they were.
describe('a dead BMC, when a failed Start is undone', () => {
  const clock = new ManualClock();
  const dead = new DeviceError({ code: 'power.unreachable', what: 'no answer from the BMC' });

  /** A run whose BMC says nothing for a minute at every try. */
  function runOf(signal: AbortSignal): StepRun {
    return {
      world: {
        clock,
        timings: { retryDelay: milliseconds(2_000), undoBudget: milliseconds(180_000) },
        power: {
          turn: async (_machine: unknown, _wanted: string, inner: AbortSignal) => {
            await clock.sleep(milliseconds(60_000), inner);
            throw dead;
          },
        },
      },
      signal,
      machine: () => Promise.resolve({ hostname: 'server-1' }),
    } as unknown as StepRun;
  }

  async function after<T>(time: number, work: Promise<T>): Promise<T> {
    for (let passed = 0; passed < time; passed += 1_000) await clock.advance(milliseconds(1_000));
    return Promise.race([
      work,
      new Promise<never>((_resolve, reject) => {
        setImmediate(() => reject(new Error(`nothing after ${time} ms`)));
      }),
    ]);
  }

  it('leaves half of the time to the fence, and says what the BMC did', async () => {
    const tried = tryOff(runOf(new AbortController().signal), 90_000 as Duration);
    assert.equal(await after(91_000, tried), dead);
  });

  it('is a reason to fence also when time is up, and none when somebody else goes on here', async () => {
    const deadline = new AbortController();
    deadline.abort(new ServiceError({ code: 'operation.deadline', what: 'the start ran out of time' }));
    assert.equal((await tryOff(runOf(deadline.signal), 90_000 as Duration))?.code, 'operation.deadline');
    const lost = new AbortController();
    lost.abort(new Error('the lease is lost'));
    await assert.rejects(tryOff(runOf(lost.signal), 90_000 as Duration), /the lease is lost/);
  });
});
