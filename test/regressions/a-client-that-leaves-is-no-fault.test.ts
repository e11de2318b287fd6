import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import http from 'node:http';
import { sendReply } from '../../src/api/maas/reply.ts';
import { close, createWebServer, listen } from '../../src/kernel/net/web-server.ts';
import { freeMachine } from '../api/maas/machine-samples.ts';
import { MaasService } from '../api/maas/maas-service.ts';
import { machineId } from '../store/samples.ts';
import { until } from '../support/until.ts';

// Each client that went away in the middle of a list, or while a BMC was asked, was logged as a fault of the service.
describe('a client of the MAAS API that goes away', () => {
  it('in the middle of a list ends it', async () => {
    async function* endless(): AsyncGenerator<string> {
      for (;;) yield await Promise.resolve('x'.repeat(10_000));
    }
    let outcome: Promise<unknown> = Promise.resolve('nobody asked');
    const server = createWebServer((_req, res) => {
      outcome = sendReply(res, { stream: endless() }).then(
        () => 'ended',
        (thrown: unknown) => thrown,
      );
    });
    const request = http.get(await listen(server, '127.0.0.1', 0));
    try {
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      response.pause();
      for (const one of [request, response]) one.on('error', () => undefined);
      request.destroy();
      assert.equal(await outcome, 'ended');
    } finally {
      await close(server);
    }
  });

  it('while a BMC is asked is not logged as a fault', async function () {
    this.timeout(30_000);
    const maas = new MaasService();
    const bmc = createSocket('udp4');
    try {
      await maas.start();
      bmc.bind(0, '127.0.0.1');
      await once(bmc, 'listening');
      const machine = freeMachine(1);
      await maas.admin.storage.run((tx) =>
        tx.machines.insert({ ...machine, bmc: { ...machine.bmc!, port: bmc.address().port } }),
      );
      const gone = new AbortController();
      const asked = once(bmc, 'message');
      const path = `machines/${machineId(1)}/?op=query_power_state`;
      const answer = maas.get(path, { signal: gone.signal });
      await asked;
      gone.abort(new Error('enough'));
      await assert.rejects(answer);
      await until(() => maas.admin.log.includes(path.split('?')[0]!), 'a word about it');
      assert.doesNotMatch(maas.admin.log, /MAAS request failed/);
    } finally {
      await maas.dispose();
      await new Promise<void>((resolve) => bmc.close(() => resolve()));
    }
  });
});
