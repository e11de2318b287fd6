import assert from 'node:assert/strict';
import net from 'node:net';
import { gzipSync } from 'node:zlib';
import { milliseconds } from '../../../plugin-api/index.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';
import { deployOrder, machineOf } from '../../operations/boot/boot-samples.ts';
import { bootFolder, request, startBootFloor, type Answer, type BootFloor } from './boot-floor.ts';
import { closed } from '../../support/closed.ts';

/** What comes over the provisioning network, where anybody may be; the order under way goes on. */
describe('boot service: hostile agents', () => {
  let temp: TempStorage;
  let folder: ReturnType<typeof bootFolder>;
  let floor: BootFloor;
  let token: string;

  beforeEach(async () => {
    temp = await tempStorage();
    folder = bootFolder();
    await temp.storage.run((tx) => tx.machines.insert(machineOf()));
    floor = await startBootFloor({
      storage: temp.storage,
      folder: folder.folder,
      limits: {
        headersTimeout: milliseconds(300),
        requestTimeout: milliseconds(600),
        idleTimeout: milliseconds(400),
      },
    });
    const order = deployOrder();
    await floor.boots.place(order);
    await temp.storage.run((tx) => floor.boots.arm(tx, order.id));
    const script = await request(floor.base, '/boot/v1/script?mac=52-54-00-AA-00-01&platform=pcbios');
    token = /csbm\.token=(\S+)/.exec(script.body.toString())![1]!;
  });

  afterEach(async () => {
    // Nothing is lost: the order goes on, and its machine is heard.
    const answer = await post('progress', JSON.stringify({ activity: 'still here', percent: 7 }));
    assert.equal(answer.status, 200);
    const progress = await floor.boots.progress('op-1:deploy');
    assert.deepEqual([progress?.state, progress?.activity, progress?.percent], ['running', 'still here', 7]);
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
    await floor.close();
    await temp.close();
    folder.remove();
  });

  const post = (path: string, body: string, headers: Record<string, string> = {}): Promise<Answer> =>
    request(floor.base, `/boot/v1/agent/${path}`, {
      method: 'POST',
      body,
      headers: { authorization: `Bearer ${token}`, ...headers },
    });

  /** Sends bytes as they are, and gives all that comes back until the service closes. */
  async function raw(bytes: string | Buffer, trickle?: string): Promise<string> {
    const socket = net.connect(Number(new URL(floor.base).port), '127.0.0.1');
    let heard = '';
    socket.setEncoding('latin1').on('data', (text: string) => (heard += text));
    socket.write(bytes);
    const timer = trickle === undefined ? undefined : setInterval(() => socket.write(trickle), 50);
    await closed(socket);
    clearInterval(timer);
    return heard;
  }

  const head = (path: string, ...headers: string[]): string =>
    [
      `POST /boot/v1/agent/${path} HTTP/1.1`,
      'host: x',
      `authorization: Bearer ${token}`,
      ...headers,
      '',
      '',
    ].join('\r\n');

  const deep = `${'['.repeat(7_000)}${']'.repeat(7_000)}`;
  for (const [name, body, said] of [
    ['thousands of levels', deep, /deeper than 32 levels/],
    ['thousands of levels inside', `{"activity":${deep}}`, /deeper than 32 levels/],
    ['an array', '[]', /^body: /],
    ['a number that overflows', '{"activity":"x","percent":1e999}', /^percent: /],
    ['keys of JavaScript instead of fields', '{"__proto__":{"activity":"x","polluted":1}}', /^activity: /],
    ['a constructor', '{"constructor":{"prototype":{"polluted":1}}}', /^activity: /],
    ['a cut body', '{"activity":"x"', /not JSON/],
    ['two bodies', '{"activity":"x"}{"activity":"y"}', /not JSON/],
    ['bytes that are no text', '\u0000\u0001\u0002', /not JSON/],
  ] as const)
    it(`a report of ${name} is refused, naming the field`, async () => {
      const answer = await post('progress', body);
      assert.equal(answer.status, 400);
      const { error } = JSON.parse(answer.body.toString()) as { error: { code: string; what: string } };
      assert.equal(error.code, 'request.invalid');
      assert.match(error.what, said);
      assert.ok(error.what.length < 300);
    });

  it('of a repeated key the last counts, and unknown ones are left out', async () => {
    const body =
      '{"activity":"first","activity":"second","percent":3,"surprise":{"a":[1]},"__proto__":{"percent":9}}';
    assert.equal((await post('progress', body)).status, 200);
    const progress = await floor.boots.progress('op-1:deploy');
    assert.deepEqual([progress?.activity, progress?.percent], ['second', 3]);
  });

  it('a gzip bomb is refused without being unpacked, on every call', async () => {
    const bomb = gzipSync(Buffer.alloc(32 * 2 ** 20));
    for (const path of ['progress', 'log', 'result'])
      for (const encoding of ['gzip', 'deflate', 'br', 'zstd', 'gzip, gzip']) {
        const sent = Buffer.concat([
          Buffer.from(
            head(
              path,
              `content-encoding: ${encoding}`,
              `content-length: ${bomb.length}`,
              'connection: close',
            ),
          ),
          bomb,
        ]);
        assert.match(await raw(sent), /^HTTP\/1\.1 (415|413) /, `${path} ${encoding}`);
      }
  });

  it('a body of more than is taken is refused when it came, and given up when it never does', async () => {
    const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
    const chunks = head('progress', 'transfer-encoding: chunked', 'connection: close');
    assert.match(await raw(`${chunks}${chunk.repeat(2)}0\r\n\r\n`), /^HTTP\/1\.1 413 /);
    await raw(head('progress', 'content-length: 999999999999'), 'x');
    await raw(chunks, chunk);
  });

  it('a body that ends before it is whole does nothing', async () => {
    const socket = net.connect(Number(new URL(floor.base).port), '127.0.0.1');
    socket.resume();
    socket.end(head('result', 'content-length: 200') + '{"ok":false,"error":{"code":"agent","said":"x"}}');
    await closed(socket);
  });

  it('bodies and headers that trickle are given up', async () => {
    await raw(head('result', 'content-length: 100000'), ' ');
    await raw('POST /boot/v1/agent/result HTTP/1.1\r\nhost: x\r\n', 'x: y\r\n');
  });

  it('two lengths, or a length and chunks, are refused: nothing is smuggled', async () => {
    const body = '{"activity":"smuggled"}';
    for (const headers of [
      [`content-length: ${body.length}`, 'content-length: 0'],
      [`content-length: ${body.length}`, 'transfer-encoding: chunked'],
      ['content-length: -1'],
      ['content-length: 1e3'],
    ])
      assert.match(await raw(head('progress', ...headers, 'connection: close') + body), /^HTTP\/1\.1 400 /);
    assert.notEqual((await floor.boots.progress('op-1:deploy'))?.activity, 'smuggled');
  });
});
