import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startCsbm } from '../cli/run-csbm.ts';
import { until } from '../support/until.ts';

// `systemctl reload csbm` while the service was starting, or stopping, killed it by SIGHUP, which systemd takes for an end that was
// wanted: it stayed down (systemd.service(5), "clean exit").
describe('csbm serve that is told to reload', function () {
  this.timeout(60_000);

  it('goes on with its start', async function () {
    if (process.platform !== 'linux') this.skip();
    const folder = mkdtempSync(join(tmpdir(), 'csbm-reload-'));
    // A database that takes the connection and says nothing: the start waits for it.
    const sockets = new Set<Socket>();
    const database = createServer((socket) => void sockets.add(socket));
    database.listen(0, '127.0.0.1');
    await once(database, 'listening');
    const { port } = database.address() as AddressInfo;
    const store = `store: {type: mariadb, mariadb: {host: 127.0.0.1, port: ${port}, connectTimeout: 50s, patience: 50s}}`;
    writeFileSync(join(folder, 'csbm.yaml'), `stateDir: ./state\n${store}\n`);
    const child = startCsbm(['serve'], { cwd: folder });
    const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    let said = '';
    child.stderr!.on('data', (chunk: Buffer) => (said += chunk.toString()));
    try {
      await until(() => sockets.size > 0, 'a connection to the database');
      const caught = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${child.pid!}/status`, 'utf8'))![1]!;
      assert.equal(BigInt(`0x${caught}`) & 1n, 1n, 'SIGHUP would end it');
      child.kill('SIGHUP');
      child.kill('SIGTERM');
      assert.deepEqual(await closed, [0, null], said);
      assert.match(said, /SIGTERM: stopped before it was up/);
    } finally {
      child.kill('SIGKILL');
      await closed;
      for (const socket of sockets) socket.destroy();
      database.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
