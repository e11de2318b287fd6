import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { MaasReply } from '../../../src/api/maas/handler.ts';
import { MaasRefusal } from '../../../src/api/maas/maas-refusal.ts';
import { sendRefusal, sendReply } from '../../../src/api/maas/reply.ts';
import { close, createWebServer, listen, type WebServer } from '../../../src/kernel/net/web-server.ts';
import { until } from '../../support/until.ts';

describe('MAAS API: answers', () => {
  let reply: MaasReply | MaasRefusal;
  let outcome: Promise<unknown>;
  let server: WebServer;
  let url: string;

  before(async () => {
    server = createWebServer((_req, res) => {
      if (reply instanceof MaasRefusal) sendRefusal(res, reply);
      else
        outcome = sendReply(res, reply).catch((thrown: unknown) => {
          res.destroy();
          return thrown;
        });
    });
    url = await listen(server, '127.0.0.1', 0);
  });
  after(() => close(server));

  const ask = async (wanted: typeof reply) => {
    reply = wanted;
    const response = await fetch(url);
    const type = response.headers.get('content-type');
    return { status: response.status, type, text: await response.text(), headers: response.headers };
  };

  async function* items(count: number, size: number): AsyncGenerator<{ n: number; text: string }> {
    for (let n = 0; n < count; n += 1) yield await Promise.resolve({ n, text: 'x'.repeat(size) });
  }

  it('are JSON, text, bytes or nothing, each with the type that clients look at', async () => {
    const json = 'application/json; charset=utf-8';
    const plain = 'text/plain; charset=utf-8';
    for (const [wanted, status, type, text] of [
      [{ json: { a: null } }, 200, json, '{"a":null}'],
      [{ status: 201, json: null }, 201, json, 'null'],
      [{ text: 'OK' }, 200, plain, 'OK'],
      [{ status: 202, text: 'ü', type: 'text/x' }, 202, 'text/x', 'ü'],
      [{ bytes: Buffer.from('{}'), type: 'application/json' }, 200, 'application/json', '{}'],
      [{ empty: true }, 204, null, ''],
      [{ stream: items(0, 0) }, 200, json, '[]'],
      [new MaasRefusal(400, { name: ['No.'] }), 400, json, '{"name":["No."]}'],
      [new MaasRefusal(409, 'No machine available.'), 409, plain, 'No machine available.'],
    ] as const) {
      const answer = await ask(wanted);
      assert.deepEqual([answer.status, answer.type, answer.text], [status, type, text]);
      assert.equal(answer.headers.get('retry-after'), null);
    }
    assert.equal((await ask(new MaasRefusal(503, 'busy', 10))).headers.get('retry-after'), '10');
  });

  it('stream arrays whole, however long', async () => {
    const { text } = await ask({ stream: items(3_000, 200) });
    const list = JSON.parse(text) as { n: number }[];
    assert.equal(list.length, 3_000);
    assert.equal(list.at(-1)?.n, 2_999);
  });

  it('stop taking items from a stream while the client does not read, and when it goes away', async () => {
    let taken = 0;
    let ended = false;
    async function* endless(): AsyncGenerator<string> {
      try {
        for (;;) {
          taken += 1;
          yield await Promise.resolve('x'.repeat(10_000));
        }
      } finally {
        ended = true;
      }
    }
    reply = { stream: endless() };
    const request = http.get(url);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    response.pause();
    let before = -1;
    let still = 0;
    // Sockets on both sides fill up; then nothing moves, however often one looks.
    await until(() => {
      still = taken === before ? still + 1 : 0;
      before = taken;
      return still > 20;
    }, 'the stream to stand still');
    assert.ok(taken < 5_000, `${taken} items of 10 kB were taken for a client that does not read`);
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    request.destroy();
    await until(() => ended, 'the end of the stream');
    await outcome;
  });

  it('of a stream that fails are a refusal before the first piece, and are cut off after it', async () => {
    async function* failing(count: number): AsyncGenerator {
      yield* items(count, 200);
      throw new MaasRefusal(409, 'no');
    }
    reply = { stream: failing(2_000) };
    await assert.rejects(async () => (await fetch(url)).text());
    assert.ok((await outcome) instanceof MaasRefusal);
  });
});
