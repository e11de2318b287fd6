import assert from 'node:assert/strict';
import type { Duration } from '../../../plugin-api/index.ts';
import { startCommand } from '../../../lab/management-server/commands.ts';
import type { LabPing } from '../../../lab/management-server/lab-management-server.ts';
import type { LabManagementServer } from '../../../lab/management-server/lab-management-server.ts';
import { AgentHarness, facts } from './agent-harness.ts';

describe('agent link: pings', () => {
  let harness: AgentHarness;
  let server: LabManagementServer;
  beforeEach(async () => {
    harness = new AgentHarness();
    server = await harness.server();
  });
  afterEach(() => harness.close());

  const ping = (hostId: bigint, count = 1): Promise<readonly LabPing[]> => {
    const before = server.pings(hostId).length;
    return server.until('pings', () => {
      const after = server.pings(hostId).slice(before);
      return after.length >= count ? after : undefined;
    });
  };

  it('carry the complete report, an empty one, or none', async () => {
    harness.report = () =>
      Promise.resolve(
        new Map([
          ['i-2-77-VM', 'PowerOn'],
          ['i-2-78-VM', 'PowerOff'],
        ] as const),
      );
    await harness.connect(server);
    const { hostId } = await server.waitForHost(facts.guid);
    const [first] = await ping(hostId);
    assert.equal(first!.hostId, hostId.toString());
    assert.deepEqual(
      [...first!.report!],
      [
        ['i-2-77-VM', 'PowerOn'],
        ['i-2-78-VM', 'PowerOff'],
      ],
    );
    harness.report = () => Promise.resolve(new Map());
    assert.equal((await ping(hostId, 3)).at(-1)!.report!.size, 0);
    harness.report = () => Promise.resolve(null);
    assert.equal((await ping(hostId, 3)).at(-1)!.report, null);
    assert.ok((harness.status.lastPingAnswer ?? 0) > 0);
  });

  it('go without a report when it fails or takes too long, and ask a slow one only once', async () => {
    await harness.close();
    harness = new AgentHarness({ reportTimeout: 5 as Duration });
    server = await harness.server();
    harness.report = () => Promise.reject(new Error('bmc is away'));
    await harness.connect(server);
    const { hostId } = await server.waitForHost(facts.guid);
    assert.equal((await ping(hostId))[0]!.report, null);
    await harness.logged(/no power report: pinging without one/);
    let asked = 0;
    harness.report = () => {
      asked += 1;
      return new Promise(() => undefined);
    };
    assert.ok((await ping(hostId, 5)).every((one) => one.report === null));
    await harness.logged(/takes too long/);
    assert.equal(asked, 1);
  });

  it('do not carry a report that was read around a command', async () => {
    let read: (report: Map<string, 'PowerOff'>) => void = () => undefined;
    harness.report = () => new Promise((resolve) => (read = resolve));
    await harness.connect(server);
    const { hostId } = await server.waitForHost(facts.guid);
    await server.until('the report to be asked for', () => (harness.reportsAsked > 0 ? true : undefined));
    await server.send(hostId, [startCommand({ name: 'i-2-77-VM', id: 77, uuid: 'u' })]);
    read(new Map([['i-2-77-VM', 'PowerOff']]));
    assert.equal((await ping(hostId))[0]!.report, null);
  });

  it('that nobody answers mean that the link is dead', async () => {
    await harness.close();
    harness = new AgentHarness({ unansweredPings: 3 });
    server = await harness.server();
    await harness.connect(server);
    const { hostId } = await server.waitForHost(facts.guid);
    server.behaviours.pingAnswer = 'never';
    await harness.logged(/3 pings in a row got no answer/);
    server.behaviours.pingAnswer = 0;
    await server.waitForHost(facts.guid, { connects: 2 });
    assert.equal(server.hosts()[0]!.hostId, hostId);
  });

  it('answered late are answered', async () => {
    await harness.close();
    harness = new AgentHarness({ unansweredPings: 20 });
    server = await harness.server();
    server.behaviours.pingAnswer = 100;
    await harness.connect(server);
    const { hostId } = await server.waitForHost(facts.guid);
    await ping(hostId, 15);
    assert.equal(server.hosts()[0]!.connects, 1);
  });

  it('whose answer asks for a Startup get one on the same link, answered twice', async () => {
    await harness.connect(server);
    const { hostId } = await server.waitForHost(facts.guid);
    server.behaviours.sendStartup = true;
    await server.until('a second Startup', () => (server.startups === 2 ? true : undefined));
    const host = await server.waitForHost(facts.guid);
    assert.deepEqual([host.hostId, host.connects, host.knownId], [hostId, 1, hostId.toString()]);
    await ping(hostId, 2);
    assert.equal(harness.status.state, 'up');
    assert.deepEqual(server.anomalies, []);
  });

  it("come at the server's interval when none is set", async () => {
    await harness.close();
    harness = new AgentHarness({ pingInterval: null });
    server = await harness.server({ pingInterval: 1 });
    await harness.connect(server);
    const { hostId } = await server.waitForHost(facts.guid);
    await ping(hostId);
    await harness.reached('up');
    assert.equal(server.pings(hostId).length, 1, 'half a second after Ready, not at once and not after 60 s');
  });
});
