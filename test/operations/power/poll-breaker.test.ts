import assert from 'node:assert/strict';
import { DeviceError, minutes, seconds, type DeviceCode } from '../../../plugin-api/index.ts';
import { PollBreaker } from '../../../src/operations/power/poll-breaker.ts';

const fresh = (): PollBreaker =>
  new PollBreaker({ interval: seconds(60), failures: 3, longestPause: minutes(5) });
const failure = (code: DeviceCode): DeviceError => new DeviceError({ code, what: 'it failed' });

describe('poll breaker', () => {
  it('opens after three failures, probes at growing pauses, and closes at the first answer', () => {
    const breaker = fresh();
    const pauses: (number | null)[] = [breaker.pause()];
    for (let i = 0; i < 6; i += 1) {
      breaker.failed(failure('power.unreachable'));
      pauses.push(breaker.pause());
    }
    assert.deepEqual(
      pauses.map((pause) => pause && pause / 1_000),
      [60, 60, 60, 120, 240, 300, 300],
    );
    assert.equal(breaker.state, 'open');
    assert.equal(breaker.lastError?.code, 'power.unreachable');
    breaker.succeeded();
    assert.deepEqual([breaker.state, breaker.failures, breaker.pause()], ['closed', 0, seconds(60)]);
  });

  it('never asks again after a refused login, until somebody got in', () => {
    const breaker = fresh();
    breaker.failed(failure('power.auth'));
    assert.deepEqual([breaker.state, breaker.pause()], ['blocked', null]);
    breaker.succeeded();
    assert.equal(breaker.pause(), seconds(60));
  });

  it('opens at once for what only a person can mend', () => {
    const breaker = fresh();
    breaker.failed(failure('power.suite'));
    assert.equal(breaker.state, 'open');
  });
});
