import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { milliseconds, Secret } from '../../plugin-api/index.ts';
import { AdminClient } from '../../src/cli/admin-client.ts';
import { uploadImage } from '../../src/cli/admin/upload-image.ts';
import { csbm } from '../cli/run-csbm.ts';

// `csbm operation follow` and `csbm doctor` waited for ever where the connection hung and did not break (a service that was stopped
// by SIGSTOP, a host that vanished): the empty lines that come every 15 s were thrown away. And an image that became shorter while
// it was sent left csbm and the service waiting for the rest, up to twelve hours.
describe('csbm waits for nobody for ever', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'csbm-waits-'));
  let server: http.Server;
  let client: AdminClient;
  let answer: (res: http.ServerResponse, req: http.IncomingMessage) => void;

  before(async () => {
    server = http.createServer((req, res) => answer(res, req));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    client = new AdminClient({ url, token: new Secret('x'), trust: { ca: null, insecure: false } });
  });

  after(() => {
    server.close();
    server.closeAllConnections();
    rmSync(directory, { recursive: true, force: true });
  });

  const read = async (): Promise<unknown[]> => {
    const seen: unknown[] = [];
    for await (const line of client.lines('/x', new AbortController().signal, milliseconds(400)))
      seen.push(line);
    return seen;
  };
  const silent = { code: 'service.unreachable', said: 'nothing came for 0.4 s' };

  it('not for a stream that falls silent', async () => {
    answer = (res) => void res.writeHead(200).write('{"a":1}\n');
    await assert.rejects(read(), silent);
  });

  it('nor for one that never begins', async () => {
    answer = () => undefined;
    await assert.rejects(read(), silent);
  });

  it('but for as long as anything comes', async () => {
    answer = (res) => {
      let left = 8;
      const pulse = setInterval(() => {
        res.write('\n');
        left -= 1;
        if (left > 0) return;
        clearInterval(pulse);
        res.end('{"b":2}\n');
      }, 100);
    };
    assert.deepEqual(await read(), [{ b: 2 }]);
  });

  it('nor does the service for an image that becomes shorter on its way', async function () {
    this.timeout(10_000);
    const file = path.join(directory, 'shrinking.raw');
    writeFileSync(file, Buffer.alloc(24 * 1024 * 1024));
    const whole = statSync(file).size;
    let gone: Promise<unknown> | undefined;
    answer = (_res, req) => {
      gone = new Promise((resolve) => req.once('close', resolve));
      req.on('error', () => undefined);
      req.once('data', () => truncateSync(file, whole / 2));
      req.resume();
    };
    const terminal = { cwd: directory } as never;
    await assert.rejects(
      uploadImage(client, file, new URLSearchParams('name=x'), { terminal, quiet: true }),
      {
        code: 'cli.failed',
        what: 'the image was changed while it was sent',
      },
    );
    await gone;
  });

  it('an empty image is refused before anything is sent', async () => {
    writeFileSync(path.join(directory, 'empty.raw'), '');
    const { code, err } = await csbm(['image', 'add', 'empty.raw', '--name', 'x'], {
      cwd: directory,
      env: { CSBM_URL: client.url, CSBM_TOKEN: 'x' },
    });
    assert.equal(code, 1);
    assert.match(err, /the file is empty/);
  });
});
