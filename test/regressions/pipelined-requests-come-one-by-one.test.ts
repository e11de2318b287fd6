import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import { close, createWebServer } from '../../src/kernel/net/web-server.ts';
import { until } from '../support/until.ts';
import { closed } from '../support/closed.ts';

// Requests that came in one piece were all begun at once, a thousand and more, and the answers of all lay in memory: ten connections
// that read nothing took 300 MiB.
it('of requests that a connection sends without waiting only one is served at a time, and too many cut it', async () => {
  let atOnce = 0;
  let most = 0;
  let served = 0;
  const refusals: string[] = [];
  const server = createWebServer(
    (_req, res) => {
      most = Math.max(most, (atOnce += 1));
      setImmediate(() => {
        atOnce -= 1;
        served += 1;
        res.end('x');
      });
    },
    { onRefusal: (reason) => refusals.push(reason) },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    const request = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';
    const decent = connect(port, '127.0.0.1').resume();
    decent.write(request.repeat(50));
    await until(() => served === 50, 'all of them to be served');
    assert.equal(most, 1);
    decent.destroy();
    const many = connect(port, '127.0.0.1').resume();
    many.write(request.repeat(1_000));
    await closed(many);
    assert.deepEqual(refusals.slice(0, 1), ['pipelining']);
    assert.ok(served < 50 + 1_000);
  } finally {
    await close(server);
  }
});
