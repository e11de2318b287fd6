import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { milliseconds, seconds } from '../../plugin-api/index.ts';
import { BmcChannel } from '../../src/drivers/power/ipmi/bmc-channel.ts';
import { DatagramHub } from '../../src/drivers/power/ipmi/datagram-hub.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';

/** Sends back what comes, from so many ports, in a thread of its own; counts what it answered. */
const answering = `
  const { parentPort, workerData } = require('node:worker_threads');
  const answered = new Int32Array(workerData.answered);
  const sockets = Array.from({ length: workerData.count }, () => require('node:dgram').createSocket('udp4'));
  for (const socket of sockets)
    socket.on('message', (bytes, from) =>
      socket.send(bytes, from.port, from.address, () => {
        Atomics.add(answered, 0, 1);
        Atomics.notify(answered, 0);
      }),
    );
  Promise.all(sockets.map((socket) => new Promise((bound) => socket.bind(0, '127.0.0.1', bound)))).then(() =>
    parentPort.postMessage(sockets.map((socket) => socket.address().port)),
  );
`;

describe('a process that is late itself', () => {
  it('does not take the answers of BMCs for silence that lie ready when it looks again', async () => {
    // More than a socket gives out in one turn of the event loop.
    const count = 100;
    const shared = new SharedArrayBuffer(4);
    const worker = new Worker(answering, { eval: true, workerData: { answered: shared, count } });
    const clock = new SystemClock();
    const closing = new AbortController();
    const hub = new DatagramHub({ clock, log: () => undefined }, closing.signal);
    try {
      const [ports] = (await once(worker, 'message')) as [number[]];
      const channels = ports.map((port) => new BmcChannel(hub, clock, '127.0.0.1', port));
      const ask = (channel: BmcChannel, time = milliseconds(20)): Promise<true | null> =>
        channel.ask(Buffer.from('?'), () => true as const, time, closing.signal);
      assert.equal(await ask(channels[0]!, seconds(10)), true);

      const answers = channels.map((channel) => ask(channel));
      stop(shared, count + 1, 50);

      assert.deepEqual(await Promise.all(answers), Array<true>(count).fill(true));
      for (const channel of channels) channel.close();
    } finally {
      closing.abort(new Error('the test is over'));
      await hub.close();
      await worker.terminate();
    }
  });
});

/** Stands still until so many questions are answered, and at least so many milliseconds. */
function stop(shared: SharedArrayBuffer, answers: number, atLeast: number): void {
  const answered = new Int32Array(shared);
  const until = performance.now() + atLeast;
  for (let now = answered[0]!; now < answers; now = Atomics.load(answered, 0))
    if (Atomics.wait(answered, 0, now, 10_000) === 'timed-out') throw new Error(`${now} answers only`);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.max(0, until - performance.now()));
}
