import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import type { Duration } from '../../../plugin-api/index.ts';
import { createAuthority } from '../../../lab/management-server/certificate.ts';
import { bareCommand, shutdownCommand, startCommand } from '../../../lab/management-server/commands.ts';
import { AgentHarness, authority, facts, fixed, machineId } from './agent-harness.ts';

describe('agent link: connecting', () => {
  let harness: AgentHarness;
  beforeEach(() => {
    harness = new AgentHarness();
  });
  afterEach(() => harness.close());

  it('becomes Up through Startup, CheckNetwork and two Readys, and keeps the id that Ready told', async () => {
    const server = await harness.server();
    await harness.connect(server);
    const host = await server.waitForHost(facts.guid);
    assert.equal(host.knownId, null);
    await harness.reached('up');
    assert.equal(harness.status.hostId, host.hostId.toString());
    assert.equal(harness.status.server, `127.0.0.1:${server.address.port}`);
    assert.deepEqual(harness.savedHostIds, [host.hostId]);
    assert.deepEqual(server.anomalies, []);
    assert.equal(harness.service.counts().up, 1);
  });

  it('brings a known id along and does not save it again', async () => {
    const server = await harness.server();
    await harness.connect(server, { hostId: 42n });
    const host = await server.waitForHost(facts.guid);
    assert.equal(host.knownId, '42');
    assert.deepEqual(harness.savedHostIds, []);
  });

  it('becomes Up with one Ready as with three', async () => {
    for (const readyCommands of [1, 3]) {
      const server = await harness.server();
      server.behaviours.readyCommands = readyCommands;
      await harness.connect(server);
      await server.waitForHost(facts.guid);
      assert.deepEqual(server.anomalies, []);
    }
  });

  it('is Up even when the id cannot be saved', async () => {
    const server = await harness.server();
    harness.savedHostIds.push = () => {
      throw new Error('the database is away');
    };
    await harness.connect(server);
    await server.waitForHost(facts.guid);
    await harness.logged(/host id could not be saved/);
  });

  it('connects again after a lost link, with the id it learned', async () => {
    const server = await harness.server();
    await harness.connect(server);
    const { hostId } = await server.waitForHost(facts.guid);
    server.dropLink(hostId);
    const again = await server.waitForHost(facts.guid, { connects: 2 });
    assert.equal(again.hostId, hostId);
    assert.equal(again.knownId, hostId.toString());
    assert.deepEqual(harness.savedHostIds, [hostId]);
  });

  it('tries the servers of the list in turn', async () => {
    const full = await harness.server();
    full.behaviours.closeBeforeHandshake = true;
    const good = await harness.server();
    await harness.connect([full, good]);
    const { hostId } = await good.waitForHost(facts.guid);
    assert.match(await harness.logged(/agent\.(handshake|unreachable)/), /127\.0\.0\.1/);
    full.behaviours.closeBeforeHandshake = false;
    good.dropLink(hostId);
    await full.waitForHost(facts.guid);
  });

  it('a refused host keeps the reason in its status and is tried again until it is taken', async () => {
    const server = await harness.server();
    server.behaviours.refusal = 'CloudRuntimeException: No resource state adapter response';
    await harness.connect(server);
    const status = await harness.reached('refused');
    assert.match(status.reason!, /No resource state adapter response.*\[agent\.refused\]/);
    await harness.until('a second attempt', () => (server.startups >= 2 ? true : undefined));
    assert.equal(harness.status.state, 'refused');
    assert.deepEqual(server.anomalies, [], 'a refusal takes no answer');
    server.behaviours.refusal = null;
    await server.waitForHost(facts.guid);
    const up = await harness.reached('up');
    assert.equal(up.reason, null);
  });

  it('gives up a server that never answers Startup', async () => {
    await harness.close();
    harness = new AgentHarness({ startupTimeout: 60 as Duration });
    const server = await harness.server();
    server.behaviours.startupAnswer = 'never';
    await harness.connect(server);
    await harness.logged(/no StartupAnswer in time/);
    server.behaviours.startupAnswer = 5;
    await server.waitForHost(facts.guid);
  });

  it('gives up a server that never says Ready', async () => {
    await harness.close();
    harness = new AgentHarness({ readyTimeout: 60 as Duration });
    const server = await harness.server();
    server.behaviours.readyCommands = 0;
    await harness.connect(server);
    await harness.logged(/no ReadyCommand in time/);
  });

  it('gives up a server that is silent in the handshake', async () => {
    await harness.close();
    harness = new AgentHarness({ handshakeTimeout: 60 as Duration });
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => sockets.add(socket.on('error', () => undefined))).listen(
      0,
      '127.0.0.1',
    );
    await once(silent, 'listening');
    const server = await harness.server();
    const address = { host: '127.0.0.1', port: (silent.address() as AddressInfo).port };
    await harness.connect(server, { endpoint: { servers: [address, server.address] } });
    await server.waitForHost(facts.guid);
    await harness.logged(/agent\.handshake.*no TLS handshake in time/);
    for (const socket of sockets) socket.destroy();
    silent.close();
  });

  it('gives up a server that is not TLS', async () => {
    const web = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    }).listen(0, '127.0.0.1');
    await once(web, 'listening');
    const server = await harness.server();
    const address = { host: '127.0.0.1', port: (web.address() as AddressInfo).port };
    await harness.connect(server, { endpoint: { servers: [address, server.address] } });
    await server.waitForHost(facts.guid);
    await harness.logged(/does not begin a TLS record/);
    web.close();
  });

  it('leaves in order: the server hears sig.kill and sees no investigation', async () => {
    const server = await harness.server();
    await harness.connect(server);
    const { hostId } = await server.waitForHost(facts.guid);
    await harness.reached('up');
    await harness.service.remove(machineId);
    assert.equal(harness.service.status(machineId), null);
    const host = await server.until('the host to leave', () =>
      server.hosts().find((row) => row.hostId === hostId && row.state === 'Disconnected'),
    );
    assert.equal(host.connects, 1);
    await server.until('the link to close', () => (server.connections === 0 ? true : undefined));
  });

  it('can be stopped while it connects, and while it waits', async () => {
    const server = await harness.server();
    server.behaviours.startupAnswer = 'never';
    await harness.connect(server);
    await harness.reached('starting');
    await harness.disconnect();
    await server.until('the link to close', () => (server.connections === 0 ? true : undefined));
  });

  it('is dismissed by ShutdownCommand: answers it and does not come back', async () => {
    const server = await harness.server();
    await harness.connect(server);
    const { hostId } = await server.waitForHost(facts.guid);
    const [answer] = await server.send(hostId, [shutdownCommand()]);
    assert.deepEqual([answer!.className, answer!.result], ['com.cloud.agent.api.Answer', true]);
    const status = await harness.reached('dismissed');
    assert.match(status.reason!, /removed the host/);
    await harness.until('its place to be forgotten', () => (harness.forgotten.length > 0 ? true : undefined));
    assert.deepEqual(harness.forgotten, [machineId]);
    await server.until('the link to close', () => (server.connections === 0 ? true : undefined));
    assert.equal(server.startups, 1);
  });

  it('a goodbye that does not remove the host leaves its place', async () => {
    const server = await harness.server();
    await harness.connect(server);
    const { hostId } = await server.waitForHost(facts.guid);
    await server.send(hostId, [shutdownCommand(false)]);
    await harness.reached('dismissed');
    await harness.disconnect();
    assert.deepEqual(harness.forgotten, []);
  });

  it('adding a machine again replaces its link', async () => {
    const server = await harness.server();
    await harness.connect(server);
    await server.waitForHost(facts.guid);
    await harness.reached('up');
    await harness.connect(server, { facts: { ...facts, name: 'renamed' } });
    const host = await server.waitForHost(facts.guid, { connects: 2 });
    assert.equal(host.startup.name, 'renamed');
    assert.equal(harness.service.statuses().length, 1);
  });

  it('many machines connect, each on its own link', async () => {
    const server = await harness.server();
    const guids = Array.from({ length: 20 }, (_, index) => `guid-${index}`);
    await Promise.all(
      guids.map((guid, index) =>
        harness.connect(server, { machineId: `m${index}`, facts: { ...facts, guid } }),
      ),
    );
    await Promise.all(guids.map((guid) => server.waitForHost(guid)));
    assert.equal(server.connections, 20);
    assert.equal(new Set(server.hosts().map((host) => host.hostId)).size, 20);
    assert.equal(harness.service.counts().up, 20);
  });
});

describe('agent link: whom it trusts', () => {
  const harness = new AgentHarness();
  afterEach(() => harness.disconnect());
  after(() => harness.close());

  it('a server with another certificate than the pinned one hears nothing', async () => {
    const server = await harness.server();
    const other = createAuthority();
    await harness.connect(server, { endpoint: { credentials: fixed({ pin: other.der }) } });
    await harness.logged(/agent\.certificate.*another certificate than the pinned one/);
    await harness.until('two attempts', () =>
      harness.logLines.filter((line) => line.includes('agent.certificate')).length >= 2 ? true : undefined,
    );
    assert.equal(server.startups, 0);
  });

  it('a certificate that the pinned CA merely signed is not enough: every agent has one', async () => {
    const issued = authority().issue('some-kvm-host', ['127.0.0.1']);
    const server = await harness.server({ authority: { ...authority(), ...issued } });
    await harness.connect(server);
    await harness.logged(/agent\.certificate/);
    assert.equal(server.startups, 0);
  });

  it('trusts anyone only when told so', async () => {
    const server = await harness.server({ authority: createAuthority() });
    await harness.connect(server, { endpoint: { credentials: fixed({ trustAll: true }) } });
    await server.waitForHost(facts.guid);
  });

  it('a strict server refuses an agent without a certificate, or with one that does not name its address', async () => {
    const server = await harness.server({ strict: true });
    await harness.connect(server);
    await harness.logged(/agent\.handshake/);
    await harness.disconnect();
    const wrong = authority().issue('csbm', ['192.0.2.1']);
    await harness.connect(server, { endpoint: { credentials: fixed(undefined, wrong) } });
    await harness.until('an attempt to end', () => (harness.status.state === 'waiting' ? true : undefined));
    assert.deepEqual(
      server.hosts().filter((host) => host.state === 'Up'),
      [],
    );
  });

  it('a strict server takes an agent whose certificate names its address', async () => {
    const server = await harness.server({ strict: true });
    const right = authority().issue('csbm', ['127.0.0.1']);
    await harness.connect(server, { endpoint: { credentials: fixed(undefined, right) } });
    const { hostId } = await server.waitForHost(facts.guid);
    const [answer] = await server.send(hostId, [
      startCommand({ name: 'i-2-1-VM', id: 1, uuid: 'u', template: 't' }),
    ]);
    assert.equal(answer!.result, true);
    const [unknown] = await server.send(hostId, [bareCommand('PingTestCommand')]);
    assert.equal(unknown!.className, 'com.cloud.agent.api.UnsupportedAnswer');
    assert.ok(!harness.logLines.some((line) => line.includes('PRIVATE KEY')));
  });
});
