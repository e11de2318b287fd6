import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { powerCommand, type PowerCommandIo } from '../../../src/cli/direct/power.ts';
import { onFloor, until } from './ipmi-fixture.ts';

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface Console {
  readonly env?: Record<string, string>;
  readonly stdin?: NodeJS.ReadStream;
  readonly onInterrupt?: PowerCommandIo['onInterrupt'];
}

async function csbmPower(args: readonly string[], shell: Console = {}): Promise<Result> {
  const result = { code: 0, out: '', err: '' };
  const command = powerCommand({
    env: shell.env ?? { CSBM_BMC_PASSWORD: 'password' },
    stdin: shell.stdin ?? (new PassThrough() as unknown as NodeJS.ReadStream),
    print: (text) => (result.out += text),
    complain: (text) => (result.err += text),
    setExitCode: (code) => (result.code = code),
    onInterrupt: shell.onInterrupt ?? (() => () => undefined),
  });
  await command.parseAsync(args, { from: 'user' });
  return result;
}

/** A terminal on which the user types this. */
function terminal(typed: string): { readonly stdin: NodeJS.ReadStream; readonly raw: boolean[] } {
  const raw: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (mode: boolean) => {
      raw.push(mode);
      if (mode) stdin.write(typed);
    },
  });
  return { stdin: stdin as unknown as NodeJS.ReadStream, raw };
}

describe('csbm power', () => {
  const at = (port: number): string[] => ['--bmc', `127.0.0.1:${port}`, '--user', 'admin'];

  it('shows, switches and confirms the power', () =>
    onFloor({}, async ({ bmc, host, port }) => {
      assert.deepEqual(await csbmPower(['status', ...at(port)]), { code: 0, out: 'power is off\n', err: '' });
      const on = await csbmPower(['on', ...at(port), '--json']);
      assert.equal(on.code, 0);
      const result = JSON.parse(on.out) as Record<string, unknown>;
      assert.equal(result['ok'], true);
      assert.equal(result['bmc'], `127.0.0.1:${port}`);
      assert.equal(result['power'], 'on');
      assert.equal(host.power(), 'on');
      assert.equal((await csbmPower(['cycle', ...at(port)])).code, 0);
      await until(() => host.power() === 'off');
      await until(() => host.power() === 'on');
      assert.equal((await csbmPower(['soft', ...at(port)])).code, 0);
      await until(() => host.power() === 'off');
      assert.equal((await csbmPower(['off', ...at(port), '--min-suite', '17'])).code, 0);
      assert.deepEqual(
        bmc.log.map((entry) => entry.action),
        ['on', 'cycle', 'soft'],
      );
      assert.equal(bmc.sessionsUsed, 0);
    }));

  it('sets the boot device', () =>
    onFloor({}, async ({ bmc, port }) => {
      const persistent = ['bootdev', ...at(port), '--device', 'disk', '--persistent', '--efi', '--json'];
      const { out } = await csbmPower(persistent);
      assert.equal(bmc.bootFlags.toString('hex'), 'e008000000');
      const { evidence } = JSON.parse(out) as { evidence: { verified: boolean } };
      assert.ok(evidence.verified);
      assert.match((await csbmPower(['bootdev', ...at(port), '--device', 'pxe'])).out, /pxe once legacy/);
      assert.equal(bmc.bootFlags.toString('hex'), '8004000000');
    }));

  it('ends with 1 and one clear error, as text and as JSON, without the password', () =>
    onFloor({}, async ({ port }) => {
      const shell = { env: { CSBM_BMC_PASSWORD: 'not-the-password' } };
      const text = await csbmPower(['status', ...at(port)], shell);
      assert.equal(text.code, 1);
      assert.equal(text.out, '');
      assert.match(text.err, /^csbm power status: ipmi 127\.0\.0\.1:\d+: .*\[power\.auth\]\n$/);
      const json = await csbmPower(['status', ...at(port), '--json'], shell);
      assert.equal(json.code, 1);
      const { ok, error } = JSON.parse(json.out) as { ok: boolean; error: { code: string } };
      assert.equal(ok, false);
      assert.equal(error.code, 'power.auth');
      assert.ok(!(text.err + json.out + json.err).includes('not-the-password'));
    }));

  it('asks for the password on a terminal, hidden, and nowhere else', () =>
    onFloor({}, async ({ port }) => {
      const { stdin, raw } = terminal('passwort\u007fd\r');
      const asked = await csbmPower(['status', ...at(port)], { env: {}, stdin });
      assert.deepEqual(asked, { code: 0, out: 'power is off\n', err: 'Password of admin: \n' });
      assert.deepEqual(raw, [true, false]);
      const piped = await csbmPower(['status', ...at(port)], { env: {} });
      assert.equal(piped.code, 1);
      assert.match(piped.err, /no password: set CSBM_BMC_PASSWORD/);
      const cut = terminal('pass\u0003');
      const interrupted = await csbmPower(['status', ...at(port)], { env: {}, stdin: cut.stdin });
      assert.equal(interrupted.code, 1);
    }));

  it('takes the BMC key from the environment', () =>
    onFloor({ traits: { kg: 'a key' } }, async ({ port }) => {
      const env = { CSBM_BMC_PASSWORD: 'password', LAB_KG: 'a key' };
      assert.equal((await csbmPower(['status', ...at(port), '--kg-env', 'LAB_KG'], { env })).code, 0);
      const missing = await csbmPower(['status', ...at(port), '--kg-env', 'NO_KG'], { env });
      assert.match(missing.err, /no environment variable NO_KG/);
    }));

  it('ends soon, and closes its session, when the user interrupts', () =>
    onFloor({ behaviours: { withoutEffect: Infinity } }, async ({ bmc, port }) => {
      let interrupt = (): void => assert.fail('not listening');
      const running = csbmPower(['on', ...at(port)], {
        env: { CSBM_BMC_PASSWORD: 'password' },
        onInterrupt: (stop) => {
          interrupt = stop;
          return () => undefined;
        },
      });
      await until(() => bmc.log.length === 1);
      interrupt();
      const { code, err } = await running;
      assert.equal(code, 1);
      assert.match(err, /interrupted/);
      assert.equal(bmc.sessionsUsed, 0);
    }));

  it('is a process that ends by itself, with its exit code', () =>
    onFloor({}, async ({ port }) => {
      const module = fileURLToPath(new URL('../../../src/cli/direct/power.ts', import.meta.url));
      const script = `import(${JSON.stringify(module)}).then(({ powerCommand }) => powerCommand().parseAsync(process.argv.slice(1), { from: 'user' }))`;
      const start = (password: string): Promise<Result> =>
        new Promise((resolve, reject) => {
          const args = ['--import', 'tsx', '-e', script, '--', 'status', ...at(port)];
          const child = spawn(process.execPath, args, {
            env: { ...process.env, CSBM_BMC_PASSWORD: password },
            stdio: ['ignore', 'pipe', 'pipe'],
          });
          const result = { out: '', err: '' };
          child.stdout.on('data', (chunk: Buffer) => (result.out += chunk.toString()));
          child.stderr.on('data', (chunk: Buffer) => (result.err += chunk.toString()));
          child.on('error', reject);
          child.on('close', (code) => resolve({ ...result, code: code ?? -1 }));
        });
      assert.deepEqual(await start('password'), { code: 0, out: 'power is off\n', err: '' });
      const failed = await start('wrong');
      assert.equal(failed.code, 1);
      assert.match(failed.err, /power\.auth/);
    }));
});
