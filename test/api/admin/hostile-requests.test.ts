import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { until } from '../../support/until.ts';
import { AdminService, assertRefused, bmcPassword, enrolment } from './admin-service.ts';

describe('admin API: hostile requests', () => {
  const service = new AdminService();
  before(() => service.start());
  after(() => service.dispose());
  // Whatever was sent: it serves on, and nothing was made or lost.
  afterEach(async () => {
    assert.deepEqual((await service.get('/machines')).json.machines, []);
    assert.doesNotMatch(service.log, /internal\.bug/);
  });

  const socket = async (): Promise<Socket> => {
    const made = connect(Number(new URL(service.url).port), '127.0.0.1');
    made.on('error', () => undefined);
    await once(made, 'connect');
    return made;
  };
  const head = (more: readonly string[], token = service.token): string =>
    ['POST /api/v1/machines HTTP/1.1', 'host: csbm', `authorization: Bearer ${token}`, ...more, '', ''].join(
      '\r\n',
    );
  const headers = (more: Readonly<Record<string, string>>): Readonly<Record<string, string>> => ({
    authorization: `Bearer ${service.token}`,
    'content-type': 'application/json',
    ...more,
  });
  const told = async (response: Response): Promise<string> => {
    const body = (await response.json()) as { error: { code: string; what: string; remedy?: string } };
    assert.equal(response.status, 400);
    assert.equal(body.error.code, 'request.invalid');
    return `${body.error.what}; ${body.error.remedy ?? ''}`;
  };

  it('a body that says it is too large is refused before it is read', async () => {
    const at = await socket();
    at.write(head(['content-type: application/json', 'content-length: 100000000000']));
    const [chunk] = (await once(at, 'data')) as [Buffer];
    assert.match(chunk.toString(), /^HTTP\/1\.1 400 [\s\S]*too large/);
    at.destroy();
  });

  it('a body of no said length is refused once it is too large', async () => {
    const at = await socket();
    at.write(head(['content-type: application/json', 'transfer-encoding: chunked']));
    const chunk = Buffer.from(`10000\r\n${' '.repeat(0x10000)}\r\n`);
    let answer = '';
    at.on('data', (bytes: Buffer) => (answer += bytes.toString()));
    await until(() => {
      if (!at.destroyed && answer === '') at.write(chunk);
      return /^HTTP\/1\.1 400 [\s\S]*too large/.test(answer);
    }, 'the refusal');
    at.destroy();
  });

  it('a compressed body is refused, whatever it unpacks to', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, 0x20));
    for (const [path, body] of [
      ['/machines', gzipSync(JSON.stringify(enrolment(1)))],
      ['/machines', bomb],
      ['/rack-config/check', bomb],
      ['/images?name=x', bomb],
    ] as const) {
      const response = await fetch(`${service.url}/api/v1${path}`, {
        method: 'POST',
        headers: headers({ 'content-encoding': 'gzip' }),
        body: new Uint8Array(body),
      });
      assert.match(await told(response), /content-encoding; send the body as it is/);
    }
    assert.deepEqual((await service.get('/images')).json.images, []);
  });

  it('JSON that is nested without end is refused', async () => {
    for (const raw of [
      `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
      `${'{"a":'.repeat(40_000)}1${'}'.repeat(40_000)}`,
      `{"bmc": ${'['.repeat(40)}${']'.repeat(40)}}`,
    ])
      assert.match(
        assertRefused(await service.call('POST', '/machines', { raw }), 400, 'request.invalid'),
        /nested deeper than 32/,
      );
    // Brackets in texts are no nesting.
    const raw = JSON.stringify({ ...enrolment(1), hostname: '[{"\\'.repeat(50) });
    assert.match(
      assertRefused(await service.call('POST', '/machines', { raw }), 400, 'request.invalid'),
      /hostname/,
    );
  });

  it('keys that mean something to JavaScript are refused, and change nothing', async () => {
    const usual = JSON.stringify(enrolment(1)).slice(0, -1);
    for (const more of [
      '"__proto__": {"polluted": 1}',
      '"constructor": {"prototype": {"polluted": 1}}',
      '"toString": 1',
      '"bmc": {"__proto__": {"polluted": 1}}',
    ])
      assertRefused(
        await service.call('POST', '/machines', { raw: `${usual}, ${more}}` }),
        400,
        'request.invalid',
      );
    assert.equal(({} as Readonly<Record<string, unknown>>)['polluted'], undefined);
    assertRefused(await service.get('/operations?__proto__=1'), 400, 'request.invalid');
    assertRefused(await service.get('/operations?constructor=1'), 400, 'request.invalid');
    assertRefused(await service.get('/machines/__proto__'), 404, 'machine.unknown');
  });

  it('what is said to be something else than JSON is refused, naming what to say', async () => {
    const body = JSON.stringify(enrolment(1));
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/jsonx',
      'multipart/form-data',
    ]) {
      const response = await fetch(`${service.url}/api/v1/machines`, {
        method: 'POST',
        headers: headers({ 'content-type': type }),
        body,
      });
      assert.match(await told(response), /not said to be JSON; send content-type: application\/json/);
    }
    const { status } = await service.call('POST', '/machines', {
      raw: '{}',
      type: 'Application/JSON; charset=utf-8',
    });
    assert.equal(status, 400);
  });

  it('what is no JSON is refused with the place, repeating nothing of it', async () => {
    for (const raw of [`{"password": "${bmcPassword}", }`, bmcPassword, Buffer.from([0x22, 0xff, 0x22])]) {
      const answer = await service.call('POST', '/machines', { raw });
      assert.match(assertRefused(answer, 400, 'request.invalid'), /not JSON|not UTF-8/);
      assert.ok(!answer.text.includes(bmcPassword) && !answer.text.includes(bmcPassword.slice(0, 6)));
    }
  });

  it('every misshapen query is refused with its name', async () => {
    for (const path of ['/operations?active=yes', '/operations?machine=', '/operations?page=2'])
      assert.match(assertRefused(await service.get(path), 400, 'request.invalid'), /active|machine|page/);
    assert.match(
      assertRefused(await service.post('/machines/x/commission?plan=maybe'), 400, 'request.invalid'),
      /plan/,
    );
  });

  it('a body that ends in the middle does nothing', async () => {
    const at = await socket();
    const body = JSON.stringify(enrolment(1));
    at.write(`${head(['content-type: application/json', `content-length: ${body.length + 1}`])}${body}`);
    at.end();
    assert.match(await text(at), /^(HTTP\/1\.1 400|$)/);
  });

  it('two lengths, or a length and chunks, are refused: nothing is smuggled', async () => {
    for (const more of [
      ['content-length: 2', 'content-length: 3'],
      ['content-length: 2', 'transfer-encoding: chunked'],
    ]) {
      const at = await socket();
      at.write(`${head(more)}{}`);
      assert.match(await text(at), /^HTTP\/1\.1 400 /);
    }
  });

  it('wrong tokens without end make their address wait; the right one still gets in', async () => {
    await service.get('/health');
    const wrong = (): Promise<Response> =>
      fetch(`${service.url}/api/v1/health`, { headers: { authorization: 'Bearer wrong' } });
    const seen = new Set<number>();
    for (let i = 0; i < 30; i += 1) seen.add((await wrong()).status);
    assert.deepEqual([...seen], [401, 429]);
    const refused = (await (await wrong()).json()) as { error: { code: string; retry: string } };
    assert.equal(refused.error.code, 'access.throttled');
    assert.equal(refused.error.retry, 'later');
    const none = await fetch(`${service.url}/api/v1/health`);
    assert.equal(none.status, 429);
    assert.equal((await service.get('/health')).status, 200);
    assert.equal((await fetch(`${service.url}/healthz`)).status, 200);
  });
});
