import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Duration } from '../../plugin-api/index.ts';
import { AgentHarness, facts, fixed } from '../api/cloudstack-agent/agent-harness.ts';

// Every link waited for itself until a server that answers nothing had timed out, a few at a time: two thousand links took ten minutes.
describe('the first of two management servers answers nothing', () => {
  const links = 24;
  const concurrentConnects = 2;
  let harness: AgentHarness;
  let silent: Server;
  const dials: Socket[] = [];

  beforeEach(async () => {
    dials.length = 0;
    silent = createServer((socket) => dials.push(socket.on('error', () => undefined)));
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    harness = new AgentHarness({
      concurrentConnects,
      handshakeTimeout: 2_000 as Duration,
      awayFor: 600_000 as Duration,
    });
  });
  afterEach(async () => {
    await harness.close();
    for (const socket of dials) socket.destroy();
    silent.close();
    await once(silent, 'close');
  });

  it('the first links find out, and all others go to the second one', async () => {
    const server = await harness.server();
    const { port } = silent.address() as AddressInfo;
    const servers = [{ host: '127.0.0.1', port }, server.address];
    for (let i = 0; i < links; i += 1)
      await harness.service.add({
        machineId: `m-${i}`,
        facts: { ...facts, guid: `guid-${i}` },
        hostId: null,
        endpoint: { servers, credentials: fixed() },
      });
    await server.until(
      'all hosts up',
      () => (server.hosts().filter(({ state }) => state === 'Up').length === links ? true : undefined),
      30_000,
    );
    // Few more than dial at once, even where the machine is so slow that the good server is given up once.
    assert.ok(dials.length >= concurrentConnects);
    assert.ok(
      dials.length < links / 2,
      `${dials.length} of ${links} links dialled the server that answers nothing`,
    );
  });
});
