import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import fc from 'fast-check';
import { accountHandler } from '../../../src/api/maas/handlers/account.ts';
import { versionHandler } from '../../../src/api/maas/handlers/version.ts';
import { maasApp } from '../../../src/api/maas/maas-app.ts';
import type { MaasContext } from '../../../src/api/maas/maas-context.ts';
import { askerOf } from '../../../src/core/access/principal.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { createLog } from '../../../src/kernel/log/log.ts';
import { close, createWebServer, listen, type WebServer } from '../../../src/kernel/net/web-server.ts';
import { Access } from '../../../src/operations/access.ts';
import { ApiKeys } from '../../../src/operations/api-keys.ts';
import { Users } from '../../../src/operations/users.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';

/** Sends exactly these bytes, and reads what comes until the other side closes. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(text));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()));
    socket.on('error', reject);
  });
}

describe('MAAS API: hostile requests', () => {
  let temp: TempStorage;
  let server: WebServer;
  let url: string;
  let signed: (nonce: string) => string;
  let secret: string;

  before(async () => {
    temp = await tempStorage();
    const clock = new SystemClock();
    const log = createLog({ level: 'silent' });
    const access = new Access(temp.storage, clock);
    const users = new Users(temp.storage, clock, access);
    const keys = new ApiKeys(temp.storage, clock);
    const root = askerOf({ name: 'root', role: 'admin', scope: '*' }, 'test', '');
    await users.create({ name: 'anna', role: 'user', email: '', password: null }, root);
    const key = await keys.create('anna', '', root);
    secret = key.secret.reveal();
    signed = (nonce) =>
      `OAuth oauth_consumer_key="${key.consumerKey}", oauth_token="${key.tokenKey}", oauth_signature_method="PLAINTEXT", oauth_signature="%26${secret}", oauth_timestamp="${Math.floor(Date.now() / 1_000)}", oauth_nonce="${nonce}"`;
    const settings = {
      reportedVersion: '3.5.0',
      strict: null,
      eraseShownAs: 'Disk erasing',
      releasingFor: [],
    } as const;
    const context = { storage: temp.storage, keys, users, clock, log, settings } as unknown as MaasContext;
    const some = [versionHandler(context), accountHandler(context)];
    // Nobody is throttled: every request is looked at.
    server = createWebServer(maasApp({ context, handlers: some, failures: { failures: Infinity } }));
    url = await listen(server, '127.0.0.1', 0);
  });
  after(async () => {
    await close(server);
    await temp.close();
  });

  it('get nothing but a 4xx, whatever is in their headers and bodies, and never a secret', async () => {
    let count = 0;
    const printable = fc.stringMatching(/^[\x20-\x7e]{0,40}$/);
    const header = fc.oneof(
      printable,
      printable.map((text) => `OAuth ${text}`),
      printable.map((text) => `${signed(`h${(count += 1)}`)}, ${text.replaceAll('oauth_', '')}`),
      fc.tuple(fc.nat(300), printable).map(([at, text]) => {
        const whole = signed(`h${(count += 1)}`);
        return whole.slice(0, at % whole.length) + text;
      }),
    );
    const type = fc.constantFrom(
      'multipart/form-data; boundary=b',
      'multipart/form-data; boundary="',
      'application/json',
      'application/x-www-form-urlencoded',
      'text/plain',
    );
    const token = fc.constantFrom('--b\r\n', '\r\n\r\n', '--b--', '{', '"', 'op=', '&', '=', 'oauth_token=');
    const body = fc.array(fc.oneof(token, printable), { maxLength: 20 }).map((parts) => parts.join(''));
    await fc.assert(
      fc.asyncProperty(header, type, body, printable, async (authorization, contentType, text, op) => {
        const response = await fetch(`${url}/MAAS/api/2.0/account/?op=x${encodeURIComponent(op)}`, {
          method: 'POST',
          headers: { authorization, 'content-type': contentType },
          body: text,
        });
        const answer = await response.text();
        assert.ok(response.status >= 400 && response.status < 500, `${response.status} ${answer}`);
        assert.ok(!answer.includes(secret));
      }),
    );
  });

  it('without a usable host are 400', async () => {
    const { port } = server.address() as AddressInfo;
    const get = 'GET /MAAS/api/2.0/version/ HTTP/1.';
    assert.match(await raw(port, `${get}0\r\n\r\n`), /^HTTP\/1\.1 400 Bad Request/);
    assert.match(await raw(port, `${get}1\r\nHost: a b\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 400/);
  });

  it('with a body that says too little of its length are cut, and nothing is kept of it', async () => {
    const { port } = server.address() as AddressInfo;
    const piece = `10000\r\n${'a'.repeat(0x10000)}\r\n`;
    const type = 'Content-Type: application/x-www-form-urlencoded';
    const head = `POST /MAAS/api/2.0/account/ HTTP/1.1\r\nHost: h\r\n${type}\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const answers = await Promise.all(
      [1, 2, 3, 4, 5].map(() => raw(port, `${head}${piece.repeat(20)}0\r\n\r\n`)),
    );
    for (const answer of answers) {
      assert.match(answer, /^HTTP\/1\.1 413 /);
      assert.match(answer, /connection: close/i);
    }
  });
});
