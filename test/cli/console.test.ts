import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { PassThrough, Writable } from 'node:stream';
import fc from 'fast-check';
import { LabBmc } from '../../lab/bmc/lab-bmc.ts';
import { LabSerial } from '../../lab/bmc/lab-sol.ts';
import { StandaloneHost } from '../../lab/bmc/standalone-host.ts';
import { EscapeReader, type Typed } from '../../src/cli/admin/escape-reader.ts';
import { runCli } from '../../src/cli/run-cli.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import {
  ConsoleFrameReader,
  encodeConsoleFrame,
  type ConsoleFrame,
} from '../../src/wire/console/console-frame.ts';
import { AdminService, bmcPassword, enrolment } from '../api/admin/admin-service.ts';
import { until } from '../support/until.ts';
import { csbm } from './run-csbm.ts';

interface Session {
  readonly type: (text: string) => void;
  readonly seen: () => string;
  readonly complaints: () => string;
  readonly raw: boolean[];
  readonly ended: Promise<number>;
}

describe('csbm console', () => {
  const service = new AdminService();
  const serial = new LabSerial();
  const bmc = new LabBmc({
    host: new StandaloneHost({ clock: new SystemClock() }),
    serial,
    traits: { users: [{ name: 'admin', password: bmcPassword, level: 3 }] },
  });
  let viewer = '';

  before(async () => {
    await service.start();
    const { port } = await bmc.listen();
    const at = { host: '127.0.0.1', port, username: 'admin', password: bmcPassword };
    await service.post('/machines', enrolment(1, { bmc: at }));
    viewer = (await service.post('/principals', { name: 'looker', role: 'viewer' })).json.token;
  });
  after(async () => {
    await service.dispose();
    await bmc.close();
  });

  /** A console on a terminal at which the test types. */
  function sit(...args: string[]): Session {
    const raw: boolean[] = [];
    const stdin = Object.assign(new PassThrough(), {
      isTTY: true,
      setRawMode: (on: boolean) => raw.push(on),
    });
    let [out, err] = ['', ''];
    const ended = runCli(['console', 'node-1', ...args], {
      stdin,
      stdout: new Writable({
        write: (chunk: Buffer, _encoding, done) => (done(), void (out += chunk.toString())),
      }),
      stderr: new Writable({
        write: (chunk: Buffer, _encoding, done) => (done(), void (err += chunk.toString())),
      }),
      env: { CSBM_URL: service.url, CSBM_TOKEN_FILE: service.tokenFile },
      cwd: '/',
      interrupted: () => new AbortController().signal,
    });
    return { type: (text) => stdin.write(text), seen: () => out, complaints: () => err, raw, ended };
  }

  it('is the serial line of a machine, left by ~. and broken by ~B', async () => {
    const session = sit();
    await until(() => session.complaints().includes('console of node-1'));
    session.type('root\r');
    await until(() => serial.typed === 'root\r');
    serial.print('Password: ~.\r\n');
    await until(() => session.seen() === 'Password: ~.\r\n');
    session.type('~B');
    await until(() => serial.breaks === 1);
    session.type('a~.b\r~~c\r~');
    session.type('.');
    assert.equal(await session.ended, 0);
    assert.equal(serial.typed, 'root\ra~.b\r~c\r');
    assert.deepEqual(session.raw, [true, false]);
    await until(() => /"console opened"[\s\S]*"console closed"/.test(service.log));
    assert.ok(!service.log.includes('Password: ~'), 'what is said on a console is not logged');
  });

  it('is for one at a time; who is thrown out is told', async () => {
    const first = sit();
    await until(() => first.complaints().includes('console of'));
    const refused = await csbm(['console', 'node-1'], {
      env: { CSBM_URL: service.url, CSBM_TOKEN_FILE: service.tokenFile },
    });
    assert.equal(refused.code, 1);
    assert.match(refused.err, /somebody else has the serial console[\s\S]*take it over/);
    const second = sit('--take-over');
    assert.equal(await first.ended, 1);
    assert.match(first.complaints(), /somebody else may have taken it/);
    await until(() => second.complaints().includes('console of'));
    second.type('~.');
    assert.equal(await second.ended, 0);
  });

  it('is not for everybody, and not at every address', async () => {
    const env = { CSBM_URL: service.url, CSBM_TOKEN: viewer };
    const refused = await csbm(['console', 'node-1'], { env });
    assert.equal(refused.code, 1);
    assert.match(refused.err, /request\.forbidden/);
    const unknown = await csbm(['console', 'nobody'], { env: { ...env, CSBM_TOKEN: service.token } });
    assert.match(unknown.err, /machine\.unknown/);
    const asked = request(`${service.url}/api/v1/machines/node-1/console`, {
      headers: { connection: 'Upgrade', upgrade: 'websocket', authorization: `Bearer ${service.token}` },
    });
    asked.end();
    const [answer] = (await once(asked, 'response')) as [{ statusCode: number; resume(): void }];
    answer.resume();
    assert.equal(answer.statusCode, 404);
    assert.equal((await csbm(['console', 'node-1', '--json'], { env })).code, 2);
  });

  it('ends when the service stops', async () => {
    const session = sit();
    await until(() => session.complaints().includes('console of'));
    await service.stop();
    assert.equal(await session.ended, 3);
    assert.match(session.complaints(), /the service stops/);
    await service.start();
  });
});

describe('console frames', () => {
  const frame = fc.oneof(
    fc
      .uint8Array({ maxLength: 300 })
      .map((bytes): ConsoleFrame => ({ type: 'characters', bytes: Buffer.from(bytes) })),
    fc.constant<ConsoleFrame>({ type: 'break' }),
    fc.string().map((text): ConsoleFrame => ({ type: 'error', text })),
  );

  it('come out as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(frame), fc.integer({ min: 1, max: 50 }), (frames, piece) => {
        const bytes = Buffer.concat(frames.map(encodeConsoleFrame));
        const reader = new ConsoleFrameReader();
        const read: ConsoleFrame[] = [];
        for (let at = 0; at < bytes.length; at += piece)
          read.push(...reader.read(bytes.subarray(at, at + piece)));
        assert.deepEqual(read, frames);
      }),
    );
  });

  it('are several for what is too long for one', () => {
    const bytes = Buffer.alloc(150_000, 'x');
    const frames = new ConsoleFrameReader().read(encodeConsoleFrame({ type: 'characters', bytes }));
    const parts = frames.map((one) => (one.type === 'characters' ? one.bytes : Buffer.alloc(0)));
    assert.deepEqual(Buffer.concat(parts), bytes);
  });

  it('of a type that there is not are refused', () => {
    assert.throws(() => new ConsoleFrameReader().read(Buffer.from([9, 0, 0])));
  });
});

describe('console escapes', () => {
  const shown = (typed: readonly Typed[]): string =>
    typed.map((part) => (typeof part === 'string' ? `<${part}>` : part.toString('latin1'))).join('');

  it('count at the beginning of a line only', () => {
    const cases: Readonly<Record<string, string>> = {
      '~.': '<leave>',
      'a~.': 'a~.',
      'a\r~.': 'a\r<leave>',
      '~~.': '~.',
      '~B~.': '<break><leave>',
      '~x': '~x',
      '\n~~~.': '\n~~.',
    };
    for (const [typed, expected] of Object.entries(cases)) {
      assert.equal(shown(new EscapeReader().read(Buffer.from(typed))), expected, typed);
      const reader = new EscapeReader();
      const oneByOne = [...Buffer.from(typed)].flatMap((byte) => reader.read(Buffer.from([byte])));
      assert.equal(shown(oneByOne), expected, `${typed}, key by key`);
    }
  });
});
