import assert from 'node:assert/strict';
import fc from 'fast-check';
import { MaasService } from './maas-service.ts';

interface Described {
  readonly resources: readonly {
    readonly auth: {
      readonly name: string;
      readonly path: string;
      readonly actions: readonly {
        readonly method: string;
        readonly op: string | null;
        readonly doc: string;
      }[];
    } | null;
  }[];
}

/** Every action there is, asked by somebody who may, with fields that nobody means. */
describe('MAAS API: hostile fields', function () {
  this.timeout(120_000);
  const maas = new MaasService();
  let actions: readonly {
    readonly path: string;
    readonly method: string;
    readonly op: string | null;
    readonly fields: readonly string[];
  }[];

  before(async () => {
    await maas.start();
    const described = JSON.parse((await maas.get('describe/')).text) as Described;
    actions = described.resources.flatMap(({ auth }) =>
      (auth?.actions ?? []).map(({ method, op, doc }) => ({
        path: auth!.path,
        method,
        op,
        fields: [...doc.matchAll(/^:param (\S+?):/gm)].map((match) => match[1]!),
      })),
    );
    assert.ok(actions.length > 100, 'the description lists the actions');
    // An address that leads nowhere answers at once that it does; these have something to work on.
    for (const [path, fields] of [
      ['tags/', { name: 'here' }],
      ['zones/', { name: 'here' }],
      ['devices/', { mac_addresses: '52:54:00:00:00:01' }],
    ] as const)
      assert.equal((await maas.post(path, fields)).status, 200);
  });

  after(() => maas.dispose());

  const value = fc.oneof(
    fc.constantFrom(
      '',
      '0',
      '1',
      '-1',
      '99999999999999999999',
      '1.5',
      'NaN',
      'true',
      'null',
      'here',
      'default',
    ),
    fc.constantFrom(
      '__proto__',
      'constructor',
      'toString',
      '../..',
      '%',
      '%00',
      '\u0000',
      "'; DROP",
      '[]',
      '{}',
    ),
    fc.constantFrom('52:54:00:00:00:01', '10.0.0.0/8', '::/0', '10.0.0.1', 'x'.repeat(5_000), '\ud83d\ude00'),
    fc.string({ maxLength: 30, unit: 'binary' }),
  );
  const part = fc.constantFrom(
    '0',
    '1',
    '2',
    '-1',
    'here',
    'default',
    '__proto__',
    'abc123',
    '%2e%2e',
    '99999999999',
  );

  it('get an answer, and never a failure of the server', async () => {
    let asked = 0;
    let after = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.nat(10_000),
        fc.array(part, { minLength: 3, maxLength: 3 }),
        fc.array(fc.tuple(fc.nat(100), value), { maxLength: 6 }),
        async (which, parts, said) => {
          const { path, method, op, fields } = actions[which % actions.length]!;
          const names = [...fields, 'id', 'name', '__proto__'];
          const form = said.map(([name, text]): [string, string] => [names[name % names.length]!, text]);
          let next = 0;
          const address = path.replaceAll(/\{\w+\}/g, () => parts[next++ % parts.length]!);
          const query = new URLSearchParams(method === 'GET' ? form : []);
          if (op !== null) query.append('op', op);
          const answer = await maas.call(method, `${address}?${query.toString()}`, {
            ...(method !== 'GET' && { form }),
          });
          assert.ok(
            answer.status < 500,
            `${method} ${address} ${String(op)}: ${answer.status} ${answer.text}`,
          );
          asked += 1;
          if (asked === 200) after = process.memoryUsage().rss;
        },
      ),
      { numRuns: 1_500, examples: [[0, ['0', '0', '0'], [[0, '\u0000']]]] },
    );
    const growth = (process.memoryUsage().rss - after) / 2 ** 20;
    assert.ok(growth < 150, `memory grew by ${growth.toFixed(0)} MiB`);
  });
});
