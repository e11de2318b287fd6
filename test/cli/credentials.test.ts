import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { csbm, type RunOptions } from './run-csbm.ts';

describe('csbm: where the service is, and the token for it', () => {
  let folder: string;
  let url: string;
  let seen: string[];
  let answer: { readonly status: number; readonly type: string; readonly body: string };
  const server = http.createServer((req, res) => {
    seen.push(req.headers.authorization ?? 'none');
    res.writeHead(answer.status, { 'content-type': answer.type }).end(answer.body);
  });

  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => server.close());
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'csbm-cli-'));
    seen = [];
    answer = { status: 200, type: 'application/json', body: '{"alarms": []}' };
    mkdirSync(join(folder, '.csbm'));
    writeFileSync(join(folder, '.csbm', 'admin.token'), 'local-token\n');
    writeFileSync(join(folder, 'other.token'), 'other-token\n');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const alarms = (args: readonly string[], env: RunOptions['env'] = {}) =>
    csbm(['alarms', ...args], { cwd: folder, env });

  it('the token comes from --token-file, then CSBM_TOKEN, then CSBM_TOKEN_FILE, then the state folder', async () => {
    const all = { CSBM_URL: url, CSBM_TOKEN: 'env-token', CSBM_TOKEN_FILE: 'other.token' };
    assert.equal((await alarms(['--token-file', 'other.token'], all)).code, 0);
    assert.equal((await alarms([], all)).code, 0);
    assert.equal((await alarms([], { CSBM_URL: url, CSBM_TOKEN_FILE: 'other.token' })).code, 0);
    assert.equal((await alarms([], { CSBM_URL: url })).code, 0);
    assert.deepEqual(seen, [
      'Bearer other-token',
      'Bearer env-token',
      'Bearer other-token',
      'Bearer local-token',
    ]);
  });

  it('the URL comes from --url, then CSBM_URL, then csbm.yaml, which also says where the token is', async () => {
    const port = new URL(url).port;
    mkdirSync(join(folder, 'state'));
    writeFileSync(join(folder, 'state', 'admin.token'), 'yaml-token');
    writeFileSync(
      join(folder, 'csbm.yaml'),
      `stateDir: ./state\nhttp: {host: 0.0.0.0, port: ${port}, allowPlain: true}\n`,
    );
    assert.equal((await alarms([])).code, 0);
    assert.equal((await alarms(['--url', `${url}/`], { CSBM_URL: 'http://127.0.0.1:1' })).code, 0);
    assert.deepEqual(seen, ['Bearer yaml-token', 'Bearer yaml-token']);
  });

  it('the local token is never sent to another machine', async () => {
    const { code, err } = await alarms([], { CSBM_URL: 'http://csbm.example.org:8440' });
    assert.equal(code, 1);
    assert.match(err, /no token for this service \[request\.unauthenticated\][\s\S]*CSBM_TOKEN/);
    assert.deepEqual(seen, []);
  });

  it('without any token it says where one was looked for', async () => {
    rmSync(join(folder, '.csbm'), { recursive: true });
    const { code, err } = await alarms([], { CSBM_URL: url });
    assert.equal(code, 1);
    assert.match(err, /ENOENT[\s\S]*where: .*admin\.token[\s\S]*CSBM_TOKEN/);
    assert.deepEqual(seen, []);
  });

  it('what is no token is not repeated', async () => {
    for (const json of [[], ['--json']]) {
      const { code, out, err } = await alarms(json, { CSBM_URL: url, CSBM_TOKEN: 'two words' });
      assert.equal(code, 1);
      assert.ok(!`${out}${err}`.includes('words'));
    }
  });

  it('a service that does not answer is 3', async () => {
    const free = http.createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const { port } = free.address() as AddressInfo;
    free.close();
    await once(free, 'close');
    const env = { CSBM_URL: `http://127.0.0.1:${port}`, CSBM_TOKEN: 'x' };
    const { code, out, err } = await alarms(['--json'], env);
    assert.equal(code, 3);
    const { error } = JSON.parse(out) as { error: Record<string, string> };
    assert.equal(error['code'], 'service.unreachable');
    assert.equal(error['where'], env.CSBM_URL);
    assert.match(error['said'] ?? '', /ECONNREFUSED/);
    assert.match(err, /csbm serve/);
  });

  it('somebody else who answers there is 3 too', async () => {
    for (const status of [200, 502]) {
      answer = { status, type: 'text/html', body: '<h1>Hello</h1>' };
      const { code, err } = await alarms([], { CSBM_URL: url, CSBM_TOKEN: 'x' });
      assert.equal(code, 3);
      assert.match(err, /not csbm/);
    }
  });

  it('a refusal is 1, in the words of the service, and harmless for the terminal', async () => {
    const error = {
      code: 'switch.refused',
      retry: 'operator',
      what: 'the switch refused a line',
      where: 'tor-a Te 1/1',
      said: '% Error: \u001b[31mbad\u0007 command',
      remedy: 'see the switch',
    };
    answer = { status: 502, type: 'application/json', body: JSON.stringify({ error }) };
    const told = await alarms([], { CSBM_URL: url, CSBM_TOKEN: 'x' });
    assert.equal(told.code, 1);
    assert.equal(
      told.err,
      [
        'error: the switch refused a line [switch.refused]',
        '  where:   tor-a Te 1/1',
        '  it said: % Error: \\x1b[31mbad\\x07 command',
        '  to do:   see the switch',
        '',
      ].join('\n'),
    );
    const document = await alarms(['--json'], { CSBM_URL: url, CSBM_TOKEN: 'x' });
    const told2 = (JSON.parse(document.out) as { error: typeof error }).error;
    assert.deepEqual({ ...error, message: '' }, { ...told2, message: '' });
  });
});
