import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { close, createWebServer, listen } from '../../src/kernel/net/web-server.ts';

const somaxconn = '/proc/sys/net/core/somaxconn';
const machines = 1_000;

/** Connects so often, in a thread of its own, and counts. */
const knocking = `
  const { parentPort, workerData } = require('node:worker_threads');
  const connected = new Int32Array(workerData.connected);
  for (let i = 0; i < workerData.machines; i += 1)
    require('node:net')
      .connect(workerData.port, '127.0.0.1', () => {
        Atomics.add(connected, 0, 1);
        Atomics.notify(connected, 0);
      })
      .on('error', () => undefined);
`;

describe('machines that are switched on together', () => {
  it('are all let in by a boot service that is busy, and need not knock again', async function () {
    if (!existsSync(somaxconn) || Number(readFileSync(somaxconn, 'utf8')) < machines) this.skip();
    const server = createWebServer((_req, res) => res.end());
    const url = new URL(await listen(server, '127.0.0.1', 0));
    const shared = new SharedArrayBuffer(4);
    const connected = new Int32Array(shared);
    const workerData = { connected: shared, machines, port: Number(url.port) };
    const worker = new Worker(knocking, { eval: true, workerData });
    try {
      await once(worker, 'online');
      // Nothing is accepted meanwhile: this thread stands still.
      const end = performance.now() + 10_000;
      for (let now = 0; now < machines && performance.now() < end; now = Atomics.load(connected, 0))
        Atomics.wait(connected, 0, now, 100);
      assert.equal(Atomics.load(connected, 0), machines);
    } finally {
      await worker.terminate();
      await close(server);
    }
  });
});
