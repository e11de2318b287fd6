import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { milliseconds, Secret, seconds } from '../../../plugin-api/index.ts';
import {
  directApp,
  type DirectHost,
  type DirectSettings,
} from '../../../src/api/cloudstack-direct/direct-app.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { createLog } from '../../../src/kernel/log/log.ts';
import { parseBody, type ParsedEntry } from '../../../src/wire/cloudstack/body.ts';
import { answerClass, answerEntry, readAnswer } from '../../../src/wire/cloudstack/message/answer.ts';
import type { PowerReport } from '../../../src/wire/cloudstack/message/ping-routing-command.ts';
import { until } from '../../support/until.ts';

const token = 'direct-t0ken';
const host: DirectHost = {
  machineId: 'abc123',
  hostname: 'node-1',
  hostId: 9_223_372_036_854_775_000n,
  facts: {
    guid: 'csbm-abc123',
    name: 'node-1',
    zone: 'z',
    pod: 'p',
    cluster: 'c',
    hypervisorType: 'BareMetal',
    arch: 'x86_64',
    cpus: 8,
    speedMhz: 2_000,
    memoryBytes: 2 ** 34,
    privateIp: '192.0.2.101',
    privateMac: '52:54:00:aa:00:01',
  },
};
const command = (name: string, fields = ''): string => `{"com.cloud.agent.api.${name}":{${fields}}}`;

describe('CloudStack direct: commands over HTTP', () => {
  let server: Server;
  let base: string;
  /** What was carried out, in order. */
  let carriedOut: ParsedEntry[];
  let execute: (entry: ParsedEntry) => Promise<boolean>;
  let power: () => Promise<{ report: PowerReport | null } | null>;
  let known: DirectHost;

  const serve = async (settings: Partial<DirectSettings> = {}): Promise<void> => {
    const app = directApp({
      token: new Secret(token),
      host: async (id) => (id === 'csbm-abc123' || id === 'a/b' ? known : null),
      execute: async (machineId, entry) => {
        assert.equal(machineId, known.machineId);
        carriedOut.push(entry);
        const ok = await execute(entry);
        return { entry: answerEntry(answerClass.StopAnswer, { result: ok, details: entry.text }), ok };
      },
      power: () => power(),
      clock: new SystemClock(),
      log: createLog({ level: 'silent' }),
      settings,
    });
    server = createServer(app);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/cloudstack/direct/hosts`;
  };
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };

  beforeEach(async () => {
    carriedOut = [];
    execute = () => Promise.resolve(true);
    power = () => Promise.resolve({ report: new Map([['i-2-77-VM', 'PowerOn' as const]]) });
    known = host;
    await serve();
  });
  afterEach(close);

  const call = async (
    method: string,
    path: string,
    options: { body?: string | Buffer; headers?: Record<string, string>; signal?: AbortSignal } = {},
  ): Promise<{ status: number; text: string }> => {
    const { body, headers, signal } = options;
    const response = await fetch(`${base}/${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      ...(body !== undefined && { body }),
      ...(signal && { signal }),
    });
    return { status: response.status, text: await response.text() };
  };
  const post = (body: string, id?: string, signal?: AbortSignal): ReturnType<typeof call> =>
    call('POST', 'csbm-abc123/commands', {
      body,
      headers: id === undefined ? {} : { 'x-csbm-request-id': id },
      ...(signal && { signal }),
    });
  const refused = async (answer: ReturnType<typeof call>, status: number, code: string): Promise<void> => {
    const { status: got, text } = await answer;
    assert.equal(got, status, text);
    const error = JSON.parse(text) as { code: string; message: string };
    assert.equal(error.code, code);
    assert.ok(error.message.endsWith(`[${code}]`));
    assert.ok(!text.includes(token));
  };

  it('answers every command, in order, with numbers as they came', async () => {
    const big = '"id":9223372036854775807,"list":[1.0,2e3]';
    const { status, text } = await post(`[${command('StopCommand', big)},${command('RebootCommand')}]`);
    assert.equal(status, 200);
    assert.deepEqual(
      parseBody(text).map((entry) => [entry.className, readAnswer(entry).result]),
      [
        [answerClass.StopAnswer, true],
        [answerClass.StopAnswer, true],
      ],
    );
    assert.equal(carriedOut[0]!.text, `{${big}}`);
    assert.equal(readAnswer(parseBody(text)[0]!).details, `{${big}}`);
  });

  it('stops at the first failure, and a failed command is an answer', async () => {
    execute = (entry) => Promise.resolve(!entry.className.includes('Stop'));
    const { status, text } = await post(
      `[${command('RebootCommand')},${command('StopCommand')},${command('RebootCommand')}]`,
    );
    assert.equal(status, 200);
    const answers = parseBody(text);
    assert.deepEqual(
      answers.map((entry) => readAnswer(entry).result),
      [true, false, false],
    );
    assert.equal(answers[2]!.className, answerClass.Answer);
    assert.equal(readAnswer(answers[2]!).details, 'Stopped by previous failure');
    assert.equal(carriedOut.length, 2);
  });

  it('answers what concerns a link that there is not', async () => {
    const { text } = await post(`[${command('ReadyCommand')},${command('ShutdownCommand')}]`);
    assert.deepEqual(
      parseBody(text).map((entry) => [entry.className, readAnswer(entry).result]),
      [
        [answerClass.ReadyAnswer, true],
        [answerClass.Answer, true],
      ],
    );
    assert.equal(carriedOut.length, 0);
  });

  it('gives a repetition the answer of the running or ended command, and carries it out once', async () => {
    let finish!: (ok: boolean) => void;
    execute = () => new Promise((resolve) => (finish = resolve));
    const leaving = new AbortController();
    const first = post(`[${command('StartCommand')}]`, 'id-1', leaving.signal);
    await until(() => carriedOut.length === 1, 'the command');
    leaving.abort();
    await assert.rejects(first);
    const second = post(`[${command('StartCommand')}]`, 'id-1');
    const other = post(`[${command('StartCommand', '"wait":1')}]`, 'id-1');
    await refused(other, 400, 'request.invalid');
    finish(true);
    const { text } = await second;
    assert.equal(readAnswer(parseBody(text)[0]!).result, true);
    assert.equal((await post(`[${command('StartCommand')}]`, 'id-1')).text, text);
    assert.equal(carriedOut.length, 1);
    execute = () => Promise.resolve(true);
    await post(`[${command('StartCommand')}]`, 'id-2');
    await post(`[${command('StartCommand')}]`);
    assert.equal(carriedOut.length, 3);
  });

  it('shows that it is alive while a command takes its time', async () => {
    await close();
    await serve({ heartbeat: milliseconds(5) });
    let finish!: (ok: boolean) => void;
    execute = () => new Promise((resolve) => (finish = resolve));
    const { port } = server.address() as AddressInfo;
    const req = request({
      port,
      path: '/any/base/cloudstack/direct/hosts/csbm-abc123/commands',
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    });
    req.end(`[${command('StartCommand')}]`);
    const [res] = (await once(req, 'response')) as [IncomingMessage];
    assert.equal(res.statusCode, 200);
    let text = '';
    res.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text === '   ') finish(true);
    });
    await once(res, 'end');
    assert.match(text, /^ {3,}\[/);
    assert.equal(readAnswer(parseBody(text)[0]!).result, true);
  });

  it('tells the status of a host', async () => {
    const [ping] = parseBody((await call('GET', 'csbm-abc123/status')).text);
    assert.equal(ping!.className, 'com.cloud.agent.api.PingRoutingCommand');
    assert.ok(ping!.text.includes('"hostId":9223372036854775000'));
    assert.ok(ping!.text.includes('"i-2-77-VM":{"state":"PowerOn","host":"node-1"}'), ping!.text);
  });

  it('leaves out a power that is not certain, or that was read around a command', async () => {
    power = () => Promise.resolve({ report: null });
    assert.ok(!(await call('GET', 'csbm-abc123/status')).text.includes('_hostVmStateReport'));
    power = async () => {
      await post(`[${command('StopCommand')}]`);
      return { report: new Map([['i-2-77-VM', 'PowerOn']]) };
    };
    assert.ok(!(await call('GET', 'csbm-abc123/status')).text.includes('_hostVmStateReport'));
  });

  it('has no status where the BMC cannot be read, or not in time', async () => {
    power = () => Promise.resolve(null);
    await refused(call('GET', 'csbm-abc123/status'), 503, 'machine.state');
    await close();
    await serve({ statusTimeout: milliseconds(20) });
    power = () => new Promise(() => undefined);
    await refused(call('GET', 'csbm-abc123/status'), 503, 'machine.state');
  });

  it('tells what a host is once it is commissioned', async () => {
    const [entry] = parseBody((await call('GET', 'csbm-abc123/startup')).text);
    assert.equal(entry!.className, 'com.cloud.agent.api.StartupRoutingCommand');
    for (const part of ['"cpus":8', `"memory":${2 ** 34}`, '"privateMacAddress":"52:54:00:aa:00:01"'])
      assert.ok(entry!.text.includes(part), entry!.text);
    known = { ...host, facts: null };
    await refused(call('GET', 'csbm-abc123/startup'), 503, 'machine.state');
  });

  it('refuses whoever has not the token, before anything else', async () => {
    for (const authorization of ['', 'Bearer ', 'Bearer wrong', `Basic ${token}`, `Bearer ${token}x`])
      for (const path of ['csbm-abc123/commands', 'nobody/commands', 'nothing'])
        await refused(
          call('POST', path, { body: '[', headers: { authorization } }),
          401,
          'request.unauthenticated',
        );
    assert.equal(carriedOut.length, 0);
  });

  it('knows its addresses and methods', async () => {
    await refused(call('GET', 'nobody/status'), 404, 'request.not-found');
    await refused(call('GET', 'csbm-abc123/other'), 404, 'request.not-found');
    await refused(call('GET', 'csbm-abc123/commands'), 405, 'request.invalid');
    await refused(call('POST', 'csbm-abc123/status'), 405, 'request.invalid');
    await refused(call('GET', '%ff/status'), 400, 'request.invalid');
    assert.equal((await call('GET', 'a%2Fb/status')).status, 200);
  });

  it('refuses what is no list of commands', async () => {
    const deep = `[{"a.B":${'['.repeat(100)}${']'.repeat(100)}}]`;
    const bodies = ['', '[]', '{}', 'x', '[null]', '[{}]', deep, `[${Array(101).fill('{"a":{}}').join()}]`];
    for (const body of bodies) await refused(post(body), 400, 'request.invalid');
    await refused(
      call('POST', 'csbm-abc123/commands', { body: Buffer.from([0x5b, 0xff, 0x5d]) }),
      400,
      'request.invalid',
    );
    const gzip = { 'content-encoding': 'gzip' };
    await refused(
      call('POST', 'csbm-abc123/commands', { body: '[]', headers: gzip }),
      400,
      'request.invalid',
    );
    assert.equal(carriedOut.length, 0);
  });

  it('reads 16 MiB at most', async () => {
    const { port } = server.address() as AddressInfo;
    const send = async (headers: Record<string, string | number>, bytes: number): Promise<number> => {
      const path = '/cloudstack/direct/hosts/csbm-abc123/commands';
      const req = request({
        port,
        path,
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, ...headers },
      });
      req.on('error', () => undefined);
      req.flushHeaders();
      const answered = once(req, 'response') as Promise<[IncomingMessage]>;
      if (bytes > 0) req.write(Buffer.alloc(bytes, ' '));
      const [res] = await answered;
      res.resume();
      req.destroy();
      return res.statusCode!;
    };
    assert.equal(await send({ 'content-length': 16 * 2 ** 20 + 1 }, 0), 413);
    assert.equal(await send({ 'transfer-encoding': 'chunked' }, 16 * 2 ** 20 + 1), 413);
  });

  it('forgets old answers', async () => {
    await close();
    await serve({ keepAnswers: seconds(-1) });
    await post(`[${command('StopCommand')}]`, 'id-1');
    await post(`[${command('StopCommand')}]`, 'id-1');
    assert.equal(carriedOut.length, 2);
  });
});
