import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import { milliseconds, minutes } from '../../plugin-api/index.ts';
import { close, createWebServer } from '../../src/kernel/net/web-server.ts';

// Where no body is read (healthz, say), a client that was answered could go on sending one, byte by byte, for the twelve hours that an
// image may take at the admin API, and hold its connection.
it('a client that was answered and goes on sending its body is cut', async function () {
  this.timeout(30_000);
  const server = createWebServer((_req, res) => res.end('ok'), {
    requestTimeout: minutes(12 * 60),
    lingering: milliseconds(100),
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  let answer = '';
  socket.on('error', () => undefined).on('data', (chunk: Buffer) => (answer += chunk.toString()));
  socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n');
  const timer = setInterval(() => socket.write('a'), 20);
  try {
    await new Promise((resolve) => socket.once('close', resolve));
    assert.match(answer, /^HTTP\/1\.1 200 /);
  } finally {
    clearInterval(timer);
    await close(server);
  }
});
