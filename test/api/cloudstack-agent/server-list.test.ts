import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ServerList } from '../../../src/api/cloudstack-agent/server-list.ts';
import type { ServerListTo } from '../../../src/wire/cloudstack/message/server-list.ts';

const told = (hosts: readonly string[], more: Partial<ServerListTo> = {}): ServerListTo => ({
  hosts,
  avoid: null,
  algorithm: 'static',
  checkInterval: null,
  ...more,
});
const names = (list: ServerList): string[] => list.all().map(({ host, port }) => `${host}:${port}`);

describe('the list of management servers', () => {
  const configured = [
    { host: 'a.example', port: 8250 },
    { host: '10.0.0.2', port: 9250 },
  ];

  it('is the configured one until a server tells another, and then that one first', () => {
    const list = new ServerList(configured);
    assert.deepEqual(names(list), ['a.example:8250', '10.0.0.2:9250']);
    assert.equal(list.preferred(), null);
    list.learn(told(['10.0.0.3', '10.0.0.2']));
    assert.deepEqual(names(list), ['10.0.0.3:8250', '10.0.0.2:9250', 'a.example:8250']);
    assert.deepEqual(list.preferred(), { host: '10.0.0.3', port: 8250 });
    list.learn(told([]));
    assert.equal(list.preferred()?.host, '10.0.0.3', 'an empty list says nothing');
  });

  it('has those to avoid last, but has them', () => {
    const list = new ServerList(configured);
    list.learn(told(['10.0.0.3', '10.0.0.4'], { avoid: ['10.0.0.3', 'a.example'] }));
    assert.deepEqual(names(list), ['10.0.0.4:8250', '10.0.0.2:9250', '10.0.0.3:8250', 'a.example:8250']);
    assert.equal(list.preferred()?.host, '10.0.0.4');
    assert.equal(list.other({ host: '10.0.0.4', port: 8250 }), null);
    const only = { host: '10.0.0.2', port: 9250 };
    assert.equal(list.after(only, 0).host, '10.0.0.4', 'round those that are not to be avoided');
    assert.equal(list.after(only, 2).host, '10.0.0.3', 'until all of them failed');
    list.avoid([]);
    assert.equal(list.preferred()?.host, '10.0.0.3');
    assert.equal(list.other({ host: '10.0.0.3', port: 8250 })?.host, '10.0.0.4');
  });

  it('takes the interval that was told last; 0 is none', () => {
    const list = new ServerList(configured);
    assert.equal(list.checkInterval, null);
    list.learn(told(['10.0.0.3'], { checkInterval: 60 }));
    assert.deepEqual([list.checkInterval, list.checkedOnce], [60_000, false]);
    list.learn(told(['10.0.0.3']));
    assert.equal(list.checkInterval, 60_000);
    list.learn(told(['10.0.0.3'], { checkInterval: 0, algorithm: 'shuffle' }));
    assert.deepEqual([list.checkInterval, list.checkedOnce], [null, true]);
  });

  it('loses no configured server, names none twice, and goes round all of them, whatever is told', () => {
    const host = fc.constantFrom('a.example', '10.0.0.2', '10.0.0.3', '10.0.0.4', '__proto__', 'toString');
    fc.assert(
      fc.property(fc.array(host), fc.array(host), (hosts, avoid) => {
        const list = new ServerList(configured);
        list.learn(told(hosts, { avoid }));
        const all = names(list);
        assert.equal(new Set(all).size, all.length);
        for (const { host: name, port } of configured) assert.ok(all.includes(`${name}:${port}`));
        const round: string[] = [];
        for (let at = list.after(null, 0); round.length < all.length; at = list.after(at, round.length))
          round.push(`${at.host}:${at.port}`);
        assert.deepEqual(round, all);
      }),
    );
  });
});
