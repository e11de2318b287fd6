import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { milliseconds } from '../../plugin-api/index.ts';
import { SlowReaders, type SlowReaderLimits } from '../../src/kernel/net/slow-readers.ts';
import { until } from '../support/until.ts';

describe('answers that wait for their readers', () => {
  const answer = Buffer.alloc(16 * 2 ** 20);
  let server: Server;
  const clients: Socket[] = [];
  const cut = new Set<Socket>();
  const served: Socket[] = [];

  async function serve(limits: SlowReaderLimits): Promise<void> {
    const readers = new SlowReaders(limits, (socket) => {
      cut.add(socket);
      socket.destroy();
    });
    server = createServer((socket) => {
      served.push(socket.on('error', () => undefined));
      readers.watch(socket);
      // In pieces, as doors that send long lists do.
      for (let at = 0; at < answer.length; at += 2 ** 18) socket.write(answer.subarray(at, at + 2 ** 18));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }

  async function client(): Promise<Socket> {
    const before = served.length;
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    clients.push(socket.on('error', () => undefined));
    await until(() => served.length > before, 'the connection');
    return socket;
  }

  afterEach(async () => {
    for (const socket of [...clients.splice(0), ...served.splice(0)]) socket.destroy();
    cut.clear();
    server.close();
    await once(server, 'close');
  });

  it('are given up where a reader takes hardly anything, and only there', async () => {
    await serve({ patience: milliseconds(200), heldBytes: 1_000, leastProgress: 2 ** 24, allBytes: 2 ** 30 });
    const slow = await client();
    slow.pause();
    const quick = await client();
    let taken = 0;
    quick.on('data', (chunk: Buffer) => (taken += chunk.length));
    await until(() => cut.size > 0, 'the slow one to be cut');
    assert.deepEqual([...cut], [served[0]]);
    await until(() => taken === answer.length, 'the quick one to have all');
  });

  it('go where most waits, when it is too much in all', async () => {
    await serve({
      patience: milliseconds(400),
      heldBytes: 2 ** 30,
      leastProgress: 1,
      allBytes: 24 * 2 ** 20,
    });
    for (let i = 0; i < 4; i += 1) (await client()).pause();
    // Clients come one after the other, and it looks in between.
    const held = (): number =>
      served.reduce((sum, socket) => sum + (cut.has(socket) ? 0 : socket.writableLength), 0);
    await until(() => cut.size > 0 && held() <= 24 * 2 ** 20, 'enough to be cut');
    assert.ok(cut.size < 4, 'not all');
  });
});
