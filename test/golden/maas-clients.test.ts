import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { Secret } from '../../plugin-api/index.ts';
import type { Tx } from '../../src/core/storage/storage.ts';
import { MaasService } from '../api/maas/maas-service.ts';
import { machine, machineId, mac, operation, port, switchRecord } from '../store/samples.ts';

/** A request of a client, as it makes it, and what it cannot do without in the answer. */
interface Pair {
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly anonymous?: true;
    readonly form?: readonly (readonly [name: string, value: string])[];
    readonly json?: unknown;
    /** As the `maas` command and libmaas send it: base64 parts; of no part just the boundary twice. */
    readonly multipart?: readonly (readonly [name: string, value: string, file: boolean])[];
  };
  readonly answer: {
    readonly status: number;
    readonly body?: Pattern;
    /** Values for later requests, `{name}` there: by their places in the answer. */
    readonly keep?: Readonly<Record<string, string>>;
  };
}

/**
 * Of text `string`, `integer`, `=exactly`, `@shape` and the like, `|` between them. An object must have each key, but those
 * with `?` before them; a list must have an item unless the pattern is empty, and each must fit.
 */
type Pattern = string | number | boolean | null | readonly Pattern[] | { readonly [key: string]: Pattern };

const folder = new URL('maas/', import.meta.url);
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(name, folder), 'utf8'));
const shapes = read('shapes.json') as Readonly<Record<string, Pattern>>;
const clients = readdirSync(folder).filter((name) => name !== 'shapes.json');

const kinds: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  integer: (value) => Number.isSafeInteger(value),
  number: (value) => typeof value === 'number',
  boolean: (value) => typeof value === 'boolean',
  null: (value) => value === null,
  object: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  // What libmaas parses by.
  moment: (value) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}$/.test(String(value)),
};

/** Where the value does not fit, as a list of places. */
function misfits(value: unknown, pattern: Pattern, at: string): readonly string[] {
  const wrong = (what: string): readonly string[] => [
    `${at}: ${what}, found ${JSON.stringify(value ?? null).slice(0, 80)}`,
  ];
  if (typeof pattern === 'string') {
    const each = pattern.startsWith('=') ? [pattern] : pattern.split('|');
    const found = each.map((one): readonly string[] => {
      if (one.startsWith('=')) return value === one.slice(1) ? [] : wrong(one);
      if (one.startsWith('@')) return misfits(value, shapes[one.slice(1)]!, at);
      return kinds[one]!(value) ? [] : wrong(one);
    });
    return found.some((one) => one.length === 0) ? [] : found[0]!;
  }
  if (typeof pattern !== 'object' || pattern === null) return value === pattern ? [] : wrong(String(pattern));
  if (Array.isArray(pattern)) {
    const [item] = pattern as readonly Pattern[];
    if (!Array.isArray(value)) return wrong('a list');
    if (item === undefined) return value.length === 0 ? [] : wrong('an empty list');
    return value.flatMap((one, index) => misfits(one, item, `${at}[${index}]`));
  }
  if (!kinds['object']!(value)) return wrong('an object');
  const found = value as Readonly<Record<string, unknown>>;
  return Object.entries(pattern).flatMap(([key, inner]) => {
    if (key === '$merge') return misfits(value, inner, at);
    const name = key.replace(/^\?/, '');
    if (!Object.hasOwn(found, name)) return key === name ? [`${at}.${name} is missing`] : [];
    return misfits(found[name], inner, `${at}.${name}`);
  });
}

/** A body as python's clients write it. */
function multipart(parts: NonNullable<Pair['request']['multipart']>): { type: string; body: string } {
  const boundary = `===============${'1'.repeat(19)}==`;
  const written = parts.map(([name, value, file]) =>
    [
      `--${boundary}`,
      `Content-Disposition: form-data; name="${name}"${file ? `; filename="${name}"` : ''}`,
      'MIME-Version: 1.0',
      'Content-Transfer-Encoding: base64',
      `Content-Type: ${file ? 'application/octet-stream' : 'text/plain; charset="utf-8"'}`,
      '',
      Buffer.from(value).toString('base64'),
      '',
    ].join('\r\n'),
  );
  const body = parts.length > 0 ? written.join('') : `--${boundary}\r\n\r\n`;
  return { type: `multipart/form-data; boundary="${boundary}"`, body: `${body}--${boundary}--` };
}

/** A machine on a rack, an image, and one thing that happened. */
async function furnish(tx: Tx): Promise<void> {
  const at = { ...switchRecord('tor-a'), fabric: 'berlin', password: new Secret('x') };
  await tx.racks.replace('', [at], [{ mac: mac(1), switch: 'tor-a', port: port('te1/1'), server: null }]);
  await tx.machines.insert(machine(1, { cloudPlace: null, quarantine: null, bmc: null }));
  await tx.journal.insert(
    operation('op-1', 1, { kind: 'commission', state: 'done', endedAt: 20, error: null }),
  );
  await tx.images.insert({
    name: 'debian-12',
    aliases: [],
    canBond: true,
    firstBoot: 'nocloud',
    rawBytes: 2 ** 31,
    encoding: 'zstd',
    storedBytes: 1_000,
    sha256: 'ab'.repeat(32),
    file: 'image-1.zst',
    createdAt: 1,
    version: 1,
  });
}

describe('golden: the smallest working sets of MAAS clients', () => {
  const maas = new MaasService();
  before(async () => {
    await maas.start();
    await maas.admin.offline(furnish);
  });
  after(() => maas.dispose());

  for (const name of clients)
    it(name.replace('.json', ''), async () => {
      const kept = new Map([['machine', String(machineId(1))]]);
      const filled = (text: string): string =>
        text.replace(/\{(\w+)\}/g, (whole, key: string) => kept.get(key) ?? whole);
      for (const { request, answer } of read(name) as readonly Pair[]) {
        const path = filled(request.path);
        const found = await maas.call(request.method, path, {
          ...(request.anonymous && { key: null }),
          ...(request.form && { form: request.form.map(([key, value]) => [key, filled(value)] as const) }),
          ...(request.json !== undefined && {
            body: JSON.stringify(request.json),
            type: 'application/json',
          }),
          ...(request.multipart && multipart(request.multipart)),
        });
        const where = `${request.method} ${path}`;
        assert.equal(found.status, answer.status, `${where}: ${found.text}`);
        if (answer.body !== undefined) {
          assert.match(found.headers.get('content-type') ?? '', /^application\/json(; charset=utf-8)?$/);
          assert.deepEqual(misfits(found.json, answer.body, where), []);
        }
        for (const [key, place] of Object.entries(answer.keep ?? {})) {
          const value = place
            .split('.')
            .reduce<unknown>((inside, part) => (inside as Record<string, unknown>)[part], found.json);
          assert.ok(typeof value === 'string' || typeof value === 'number', `${where} has no ${place}`);
          kept.set(key, String(value));
        }
      }
    });

  it('would notice a key that is missing, or of another type', () => {
    const zone = { name: 'a', description: '', resource_uri: '/' };
    assert.deepEqual(misfits([zone], ['@zone'], ''), []);
    assert.equal(misfits([{ ...zone, name: 1 }], ['@zone'], '').length, 1);
    assert.equal(misfits([{ name: 'a', resource_uri: '/' }], ['@zone'], '').length, 1);
    assert.equal(misfits([zone], [], '').length, 1);
    assert.equal(misfits({ id: 1.5 }, { id: 'integer' }, '').length, 1);
  });
});
