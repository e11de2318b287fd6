import assert from 'node:assert/strict';
import { once } from 'node:events';
import type http from 'node:http';
import type { AddressInfo } from 'node:net';
import { milliseconds } from '../../../plugin-api/index.ts';
import { readJson } from '../../../src/api/admin/request-body.ts';
import { asCodedError } from '../../../src/kernel/errors/service-error.ts';
import { close, createWebServer } from '../../../src/kernel/net/web-server.ts';
import { connect } from 'node:net';
import { closed } from '../../support/closed.ts';

describe('admin API: slow bodies', () => {
  const server = createWebServer(
    (req: http.IncomingMessage, res: http.ServerResponse) => {
      readJson(req, { bytes: 1_000, timeout: milliseconds(50) }).then(
        (body) => res.end(JSON.stringify(body)),
        (error: unknown) => res.writeHead(400).end(asCodedError(error).message),
      );
    },
    { headersTimeout: milliseconds(200) },
  );
  let port: number;
  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
  });
  after(() => close(server));

  const exchange = async (...parts: readonly string[]): Promise<string> => {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    for (const part of parts) socket.write(part);
    await Promise.race([new Promise((resolve) => socket.once('data', resolve)), closed(socket)]);
    socket.destroy();
    return answer;
  };

  it('a body that trickles is given up, with an answer', async () => {
    const answer = await exchange('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n', '{"a"');
    assert.match(answer, /^HTTP\/1\.1 400 [\s\S]*did not arrive within 0\.05 s/);
  });

  it('headers that never end are given up', async () => {
    assert.match(await exchange('POST / HTTP/1.1\r\nhost: x\r\n'), /^HTTP\/1\.1 408 /);
  });

  it('one that is there at once is taken', async () => {
    const answer = await exchange(
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n{"a":1}',
    );
    assert.match(answer, /^HTTP\/1\.1 200 [\s\S]*\{"a":1\}/);
  });
});
