import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Duration } from '../../../plugin-api/index.ts';
import type { LabServerList } from '../../../lab/management-server/behaviours.ts';
import {
  bareCommand,
  migrateAgentConnectionCommand,
  setupMsListCommand,
  startCommand,
} from '../../../lab/management-server/commands.ts';
import type { LabManagementServer } from '../../../lab/management-server/lab-management-server.ts';
import { Deferred } from '../../../src/kernel/concurrency/deferred.ts';
import { AgentHarness, facts, machineId } from './agent-harness.ts';
import { hosts, serverPair } from './server-pair.ts';

const [hostA, hostB] = hosts;
const list = (change: Partial<LabServerList> = {}): LabServerList => ({
  hosts: [hostA],
  avoid: [],
  algorithm: 'static',
  checkInterval: 0,
  ...change,
});

describe('agent link: several management servers', () => {
  let harness: AgentHarness;
  let a: LabManagementServer;
  let b: LabManagementServer;
  beforeEach(async () => {
    harness = new AgentHarness();
    [a, b] = harness.adopt(await serverPair());
  });
  afterEach(() => harness.close());

  const isAt = (server: LabManagementServer): Promise<true> =>
    harness.until(`the host at ${server.address.host}`, () =>
      server.hosts().some(({ guid, state }) => guid === facts.guid && state === 'Up') &&
      harness.status.state === 'up' &&
      harness.status.server === `${server.address.host}:${server.address.port}`
        ? true
        : undefined,
    );

  it('ReadyCommand tells servers that nobody configured: they serve when the first one is gone', async () => {
    a.behaviours.servers = list({ hosts: [hostA, hostB] });
    await harness.connect(a);
    const { hostId } = await a.waitForHost(facts.guid);
    await a.stop();
    const host = await b.waitForHost(facts.guid);
    assert.equal(host.hostId, hostId, 'the same host');
    assert.equal(host.knownId, hostId.toString());
    assert.equal(host.startup['connectionTransferred'], false);
  });

  it('the configured servers stay the fall-back when those that were told are dead', async () => {
    a.behaviours.servers = list({ hosts: ['127.0.0.3'] });
    await harness.connect(a);
    const { hostId } = await a.waitForHost(facts.guid);
    a.dropLink(hostId);
    await a.waitForHost(facts.guid, { connects: 2 });
    assert.ok(harness.logLines.some((line) => line.includes('127.0.0.3')));
  });

  it('SetupMSListCommand is answered in its class, and its list outlives a change of the host', async () => {
    await harness.connect(a);
    const { hostId } = await a.waitForHost(facts.guid);
    const [answer] = await a.send(hostId, [setupMsListCommand(list({ hosts: [hostB, hostA] }))]);
    assert.equal(answer!.className, 'org.apache.cloudstack.agent.lb.SetupMSListAnswer');
    assert.equal(answer!.result, true);
    await harness.connect(a, { facts: { ...facts, name: 'renamed' } });
    const host = await b.waitForHost(facts.guid);
    assert.equal(host.startup['name'], 'renamed');
  });

  it('SetupMSListCommand may ask to go to the preferred server at once', async () => {
    await harness.connect(a);
    const { hostId } = await a.waitForHost(facts.guid);
    await harness.reached('up');
    const [answer] = await a.send(hostId, [setupMsListCommand(list({ hosts: [hostB] }), true)]);
    assert.equal(answer!.result, true);
    await isAt(b);
  });

  it('MigrateAgentConnectionCommand is answered first; then the host moves, and says that it was sent', async () => {
    await harness.connect(a);
    const { hostId } = await a.waitForHost(facts.guid);
    const away = list({ hosts: [hostA, hostB], avoid: [hostA] });
    const [answer] = await a.send(hostId, [migrateAgentConnectionCommand(away)]);
    assert.equal(answer!.className, 'com.cloud.agent.api.MigrateAgentConnectionAnswer');
    assert.equal(answer!.result, true);
    const host = await b.waitForHost(facts.guid);
    assert.equal(host.startup['connectionTransferred'], true);
    assert.equal(a.startups, 1);
    assert.deepEqual([...a.anomalies, ...b.anomalies], []);
    b.dropLink(hostId);
    const again = await a.waitForHost(facts.guid, { connects: 2 });
    assert.equal(again.startup['connectionTransferred'], false, 'found by itself, not sent');
  });

  it('MigrateAgentConnectionCommand without another server is refused, and the host stays', async () => {
    await harness.connect(a);
    const { hostId } = await a.waitForHost(facts.guid);
    for (const nowhere of [list(), list({ hosts: [hostB], avoid: [hostA, hostB] })]) {
      const [answer] = await a.send(hostId, [migrateAgentConnectionCommand(nowhere)]);
      assert.equal(answer!.className, 'com.cloud.agent.api.MigrateAgentConnectionAnswer');
      assert.equal(answer!.result, false);
      assert.match(answer!.details ?? '', /no other server/);
    }
    const [healthy] = await a.send(hostId, [bareCommand('CheckHealthCommand')]);
    assert.equal(healthy!.result, true);
    assert.equal(b.startups, 0);
  });

  it('a server that a PingAnswer says to avoid is left for the last', async () => {
    a.behaviours.servers = list({ hosts: [hostB, hostA] });
    await harness.connect(a);
    const { hostId } = await a.waitForHost(facts.guid);
    a.behaviours.servers = list({ avoid: [hostB] });
    const before = a.pings(hostId).length;
    await a.until('two more pings', () => (a.pings(hostId).length > before + 1 ? true : undefined));
    a.dropLink(hostId);
    await a.waitForHost(facts.guid, { connects: 2 });
    assert.equal(b.startups, 0);
  });

  it('a host goes back to its preferred server, but not out of a command, and not into a maintenance', async () => {
    a.behaviours.servers = list({ hosts: [hostB], checkInterval: 1 });
    b.behaviours.closeBeforeHandshake = true;
    b.behaviours.servers = list({ hosts: [hostB], checkInterval: 1 });
    const work = new Deferred<undefined>();
    harness.perform = () => work.promise;
    await harness.connect(a);
    const { hostId } = await a.waitForHost(facts.guid);
    await harness.logged(/preferred server cannot be reached/);
    assert.equal(a.hosts()[0]!.connects, 1, 'a server in maintenance takes connections, and drops them');
    const starting = a.send(hostId, [startCommand({ name: 'i-2-77-VM', id: 77, uuid: 'u' })]);
    await harness.until('the command', () => (harness.calls.length === 1 ? true : undefined));
    b.behaviours.closeBeforeHandshake = false;
    const pings = a.pings(hostId).length;
    await a.until('many pings', () => (a.pings(hostId).length > pings + 5 ? true : undefined));
    assert.equal(b.startups, 0);
    work.resolve(undefined);
    assert.equal((await starting)[0]!.result, true);
    await isAt(b);
    assert.equal(b.hosts()[0]!.startup['connectionTransferred'], false);
    // There it stays.
    const there = b.pings(hostId).length;
    await b.until('pings there', () => (b.pings(hostId).length > there + 5 ? true : undefined));
    assert.deepEqual([a.startups, b.startups], [1, 1]);
  });

  it('a shuffled list is looked at once only', async () => {
    a.behaviours.servers = list({ hosts: [hostB], checkInterval: 1, algorithm: 'shuffle' });
    b.behaviours.closeBeforeHandshake = true;
    await harness.connect(a);
    const { hostId } = await a.waitForHost(facts.guid);
    await harness.logged(/preferred server cannot be reached/);
    b.behaviours.closeBeforeHandshake = false;
    const pings = a.pings(hostId).length;
    await a.until('many pings', () => (a.pings(hostId).length > pings + 8 ? true : undefined));
    assert.equal(b.startups, 0);
  });

  it('a server that dies in the middle of a command: the other one gets the answer to its repetition', async () => {
    const work = new Deferred<undefined>();
    harness.perform = () => work.promise;
    await harness.connect([a, b]);
    const { hostId } = await a.waitForHost(facts.guid);
    const instance = { name: 'i-2-77-VM', id: 77, uuid: 'u' };
    const first = a.send(hostId, [startCommand(instance)]);
    first.catch(() => undefined);
    await harness.until('the command', () => (harness.calls.length === 1 ? true : undefined));
    await a.stop();
    await assert.rejects(first, /link was lost/);
    await b.waitForHost(facts.guid);
    const repeated = b.send(hostId, [startCommand(instance)]);
    await harness.until('the repetition', () => (harness.calls.length === 2 ? true : undefined));
    work.resolve(undefined);
    const [answer] = await repeated;
    assert.deepEqual([answer!.className, answer!.result], ['com.cloud.agent.api.StartAnswer', true]);
    await harness.logged(/answer dropped: its link is gone/);
    assert.deepEqual(b.anomalies, [], 'the answer for the dead server did not go to the living one');
  });

  it('a server whose network swallows every packet is given up in time', async () => {
    await harness.close();
    harness = new AgentHarness({ connectTimeout: 150 as Duration });
    [a, b] = harness.adopt(await serverPair());
    // Its queue of connections is full and it never looks: what comes is dropped by the kernel, without an answer.
    const program = `
      const server = require('node:net').createServer();
      server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
        require('node:fs').writeSync(1, server.address().port + '\\n');
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      });`;
    const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    const fillers: Socket[] = [];
    try {
      const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
      const silent = { host: '127.0.0.1', port: Number(line) };
      for (let count = 0; count < 8; count += 1) fillers.push(connect(silent).on('error', () => undefined));
      await once(fillers[0]!, 'connect');
      await harness.connect(b, { endpoint: { servers: [silent, b.address] } });
      await harness.logged(/agent\.unreachable.*it did not answer in time/);
      await b.waitForHost(facts.guid);
      assert.equal(harness.service.status(machineId)!.server, `${b.address.host}:${b.address.port}`);
    } finally {
      for (const socket of fillers) socket.destroy();
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
    }
  });
});
