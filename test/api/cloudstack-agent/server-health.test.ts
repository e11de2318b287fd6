import assert from 'node:assert/strict';
import fc from 'fast-check';
import { seconds } from '../../../plugin-api/index.ts';
import { ServerHealth } from '../../../src/api/cloudstack-agent/server-health.ts';
import { ServerList } from '../../../src/api/cloudstack-agent/server-list.ts';
import { ManualClock } from '../../../src/kernel/clock/manual-clock.ts';

const a = { host: '10.0.0.1', port: 8250 };
const b = { host: '10.0.0.2', port: 8250 };

describe('what links know together of the management servers', () => {
  let clock: ManualClock;
  let health: ServerHealth;
  let back: number;
  beforeEach(() => {
    clock = new ManualClock();
    health = new ServerHealth(clock, seconds(60));
    back = 0;
  });
  const listen = (): (() => void) =>
    health.onBack(() => {
      back += 1;
    });

  it('a server that could not be reached is left alone for a while; then one link tries it for all', async () => {
    health.failed(a, true);
    assert.deepEqual([health.mayTry(a), health.mayTry(b)], [false, true]);
    assert.ok(health.mayTry({ ...a, port: 8251 }), 'another port is another server');
    await clock.advance(seconds(59));
    assert.equal(health.mayTry(a), false);
    await clock.advance(seconds(1));
    assert.equal(health.mayTry(a), true);
    assert.equal(health.mayTry(a), false, 'the others wait for what the first one finds');
    health.up(a);
    assert.equal(health.mayTry(a), true);
  });

  it('a server that is there and failed otherwise may be tried', () => {
    health.failed(a, false);
    assert.equal(health.mayTry(a), true);
  });

  it('tells once when a server is back, and only of one that had failed', () => {
    const stop = listen();
    health.up(a);
    assert.equal(back, 0);
    health.failed(a, false);
    health.failed(a, true);
    health.up(b);
    assert.equal(back, 0);
    health.up(a);
    health.up(a);
    assert.equal(back, 1);
    stop();
    health.failed(a, true);
    health.up(a);
    assert.equal(back, 1);
  });

  it('the next server is the first one round that may be tried, or just the next', () => {
    const port = 8250;
    const hosts = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'];
    const list = new ServerList(hosts.map((host) => ({ host, port })));
    fc.assert(
      fc.property(fc.constantFrom(null, ...hosts), fc.subarray(hosts), (current, open) => {
        const next = list.after(current === null ? null : { host: current, port }, 0, ({ host }) =>
          open.includes(host),
        ).host;
        const first = current === null ? 0 : hosts.indexOf(current) + 1;
        const round = [...hosts.slice(first), ...hosts.slice(0, first)];
        assert.equal(next, round.find((host) => open.includes(host)) ?? round[0]);
      }),
    );
  });
});
