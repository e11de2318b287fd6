import assert from 'node:assert/strict';
import { z } from 'zod';
import { milliseconds, Secret } from '../../../../plugin-api/index.ts';
import { MaasClient, type MaasRequest } from '../../../../src/drivers/deploy/maas/maas-client.ts';
import { MaasError } from '../../../../src/drivers/deploy/maas/maas-error.ts';
import type { MaasSettings } from '../../../../src/drivers/deploy/maas/maas-settings.ts';
import { SystemClock } from '../../../../src/kernel/clock/system-clock.ts';
import { fromHeader } from '../../../../src/wire/oauth/oauth-values.ts';
import { quickSettings } from './engine-fixture.ts';
import { ScriptedMaas, tokenSecret, type Fault } from './scripted-maas.ts';

const text = (code: number, body: string, retryAfter?: string): Fault => ({
  kind: 'answer',
  code,
  type: 'text/plain',
  body,
  ...(retryAfter !== undefined && { retryAfter }),
});

describe('MAAS client', () => {
  let maas: ScriptedMaas;
  beforeEach(async () => {
    maas = await ScriptedMaas.start();
    maas.add({ system_id: 'abc123' });
  });
  afterEach(() => maas.stop());

  const client = (more: Partial<MaasSettings> = {}): MaasClient =>
    new MaasClient(quickSettings(maas.url, more), new SystemClock());
  const read: MaasRequest<z.ZodUnknown> = {
    method: 'GET',
    path: 'machines/abc123/',
    shape: z.unknown(),
    what: 'read',
  };
  const deploy: MaasRequest<z.ZodUnknown> = {
    method: 'POST',
    path: 'machines/abc123/',
    op: 'abort',
    fields: [
      ['a', 'x y&z'],
      ['a', 'ü'],
      ['flag', false],
      ['pass', new Secret('bmc-geheim')],
    ],
    shape: z.unknown(),
    what: 'abort',
  };
  const failure = async (call: Promise<unknown>): Promise<MaasError> => {
    const thrown = await call.then(
      () => assert.fail('it went well'),
      (error: unknown) => error,
    );
    assert.ok(thrown instanceof MaasError, String(thrown));
    for (const secret of [tokenSecret, 'bmc-geheim'])
      assert.ok(!thrown.message.includes(secret), thrown.message);
    return thrown;
  };

  it('signs each attempt anew, sends forms, op in the query and repeated names', async () => {
    maas.spoil(/abort/, text(503, 'busy', '0'));
    await failure(client().call(deploy));
    assert.equal(maas.calls.length, 2);
    for (const call of maas.calls) {
      assert.equal(call.path, 'machines/abc123/');
      assert.equal(call.op, 'abort');
      assert.equal(call.contentType, 'application/x-www-form-urlencoded');
      assert.deepEqual(call.form.getAll('a'), ['x y&z', 'ü']);
      assert.equal(call.form.get('flag'), 'false');
      assert.equal(call.form.get('pass'), 'bmc-geheim');
      assert.equal(fromHeader(call.authorization)?.signatureMethod, 'PLAINTEXT');
    }
    const nonces = maas.calls.map((call) => fromHeader(call.authorization)!.nonce);
    assert.notEqual(nonces[0], nonces[1]);
  });

  it('repeats what MAAS asks to be repeated, on 503 and on 409', async () => {
    maas.spoil(/GET machines/, text(503, 'no rack', '0'), text(409, 'database', '0'));
    await client().call(read);
    assert.equal(maas.calls.length, 3);
  });

  it('gives up after its number of repetitions', async () => {
    maas.spoil(/abort/, ...Array.from({ length: 9 }, () => text(503, 'no rack', '0')));
    const error = await failure(client({ retries: 2 }).call(deploy));
    assert.equal(error.code, 'maas.busy');
    assert.equal(error.outcomeUnknown, false);
    assert.equal(maas.calls.length, 3);
  });

  it('takes 409 without Retry-After for a state that does not fit', async () => {
    const error = await failure(client().call(deploy));
    assert.equal(error.code, 'maas.state');
    assert.equal(error.said, 'Cannot abort in current state: node x is in state Ready.');
    assert.equal(maas.calls.length, 1);
  });

  it('does not wait longer than it may', async () => {
    maas.spoil(/GET/, text(409, 'later', '86400'));
    assert.equal((await failure(client().call(read))).code, 'maas.busy');
    assert.equal(maas.calls.length, 1);
  });

  it('reads again after 500, a page of a proxy and a cut connection', async () => {
    maas.spoil(
      /GET/,
      text(500, 'boom'),
      { kind: 'answer', code: 502, type: 'text/html', body: '<html><title>502</title></html>' },
      { kind: 'cut-before' },
      { kind: 'cut-after' },
    );
    await client().call(read);
    assert.equal(maas.calls.length, 5);
  });

  it('never repeats a change whose outcome is unknown', async () => {
    const faults: readonly Fault[] = [
      { kind: 'cut-after' },
      text(500, 'boom'),
      text(504, 'late'),
      text(503, 'bare'),
    ];
    for (const fault of faults) {
      maas.spoil(/abort/, fault);
      const before = maas.calls.length;
      const error = await failure(client().call(deploy));
      assert.equal(error.outcomeUnknown, true);
      assert.equal(error.retry, 'later');
      assert.equal(maas.calls.length, before + 1);
    }
  });

  it('ends a call that is not answered', async () => {
    maas.spoil(/GET/, { kind: 'silent' }, { kind: 'silent' });
    const error = await failure(client({ requestTimeout: milliseconds(50), retries: 1 }).call(read));
    assert.equal(error.code, 'maas.unreachable');
    assert.match(error.message, /no answer in time/);
  });

  it('ends with the reason of its signal', async () => {
    maas.spoil(/GET/, { kind: 'silent' });
    const controller = new AbortController();
    const call = client().call({ ...read, signal: controller.signal });
    const reason = new Error('cancelled');
    controller.abort(reason);
    await assert.rejects(call, reason);
  });

  it('stops reading an answer without end', async () => {
    maas.spoil(/GET/, { kind: 'huge' });
    const error = await failure(client({ retries: 0, requestTimeout: milliseconds(60_000) }).call(read));
    assert.match(error.message, /longer than/);
  });

  it('makes a short text of an HTML page, and refuses what is not JSON', async () => {
    const page = `<!doctype html><html><head><title>Login</title></head><body>${'<p>x'.repeat(5_000)}</body></html>`;
    maas.spoil(/abort/, { kind: 'answer', code: 404, type: 'text/html', body: page });
    assert.equal((await failure(client().call(deploy))).said, 'a web page titled "Login"');
    maas.spoil(/GET/, { kind: 'answer', code: 200, type: 'text/html', body: page });
    const error = await failure(client().call({ ...read, shape: z.object({ system_id: z.string() }) }));
    assert.equal(error.code, 'maas.answer');
    assert.ok(error.message.length < 500);
  });

  it('tells a wrong key, and not what MAAS tells about it', async () => {
    const key = { consumerKey: 'c', tokenKey: 't', tokenSecret: new Secret('wrong') };
    const error = await failure(client({ key }).call(read));
    assert.equal(error.code, 'maas.credentials');
    assert.match(error.message, /Invalid signature/);
  });

  it('tells a server that is not there', async () => {
    const error = await failure(client({ url: 'http://127.0.0.1:1/MAAS', retries: 0 }).call(read));
    assert.equal(error.code, 'maas.unreachable');
    assert.match(error.message, /ECONNREFUSED/);
  });
});
