import assert from 'node:assert/strict';
import { parseRackConfig, RackConfigError } from '../../rack-config/index.ts';
import { switchTypes } from '../../src/drivers/switch/registry.ts';

// A file that is something else altogether, of 2 MB, held the service up for 17 seconds, in which other instances took it for dead;
// one of 10 MB ended it for want of memory; and a list of a hundred thousand empty hosts was "unexpected RangeError" (code 500).
describe('a rack config that is none', () => {
  const rack = (hosts: string): string =>
    `{"racks":[{"l2Switch":{"ip":"192.0.2.1","username":"a","password":"b","type":"Force10"},"hosts":[${hosts}]}]}`;
  const many = (what: string, n: number): string => new Array<string>(n).fill(what).join(',');

  for (const [what, text] of [
    ['of numbers', `{"racks":[${many('0', 400_000)}]}`],
    ['of empty hosts', rack(many('{}', 100_000))],
    ['of millions of values', `{"racks":[${many('0', 5_000_000)}]}`],
    ['of one key over and over', `{${many('"a":0', 400_000)}}`],
    ['of ports that are none', rack(many('{"mac":"52:54:00:00:00:01","port":[]}', 100_000))],
    ['of one cable over and over', rack(many('{"mac":"52:54:00:00:00:01","port":"1/1"}', 60_000))],
  ] as const)
    it(`is refused soon, with some of what is wrong: ${what}`, function () {
      this.timeout(20_000);
      assert.throws(
        () => parseRackConfig(text, switchTypes),
        (thrown) => {
          assert.ok(thrown instanceof RackConfigError, String(thrown));
          assert.ok(thrown.problems.length >= 1 && thrown.problems.length <= 5_000);
          if (thrown.problems.length > 1) assert.match(thrown.message, /at least 5000 problems/);
          assert.ok(JSON.stringify(thrown).length < 2_000_000);
          return true;
        },
      );
    });

  it('has no more warnings than anybody reads', () => {
    const hosts = Array.from({ length: 20_000 }, (_, i) => {
      const mac = `52:54:00:00:${(i >> 8).toString(16).padStart(2, '0')}:${(i & 255).toString(16).padStart(2, '0')}`;
      return `{"mac":"${mac}","port":"${i}/1","note":""}`;
    });
    const { warnings, wires } = parseRackConfig(rack(hosts.join(',')), switchTypes);
    assert.deepEqual([warnings.length, wires.length], [5_000, 20_000]);
  });

  it('of ten thousand machines with four NICs each is taken', function () {
    this.timeout(20_000);
    const mac = (n: number): string => `52:54:${n.toString(16).padStart(8, '0').match(/../g)!.join(':')}`;
    const racks = Array.from({ length: 1_000 }, (_, at) => ({
      l2Switch: {
        ip: `10.1.${at >> 8}.${at & 255}`,
        username: 'a',
        password: 'b',
        type: 'Force10',
        uplinks: ['fo 1/49'],
      },
      hosts: Array.from({ length: 40 }, (_, n) => ({
        mac: mac(at * 40 + n),
        port: `1/${n + 1}`,
        server: `s${at}-${n >> 2}`,
      })),
    }));
    assert.equal(parseRackConfig(JSON.stringify({ racks }), switchTypes).wires.length, 40_000);
  });
});
