import assert from 'node:assert/strict';
import { seconds } from '../../plugin-api/index.ts';
import { LabManagementServer } from '../../lab/management-server/lab-management-server.ts';
import { AgentService } from '../../src/api/cloudstack-agent/agent-service.ts';
import { ManualClock } from '../../src/kernel/clock/manual-clock.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { authority, facts, fixed } from '../api/cloudstack-agent/agent-harness.ts';
import { until } from '../support/until.ts';

// After a long outage each link waited out its own back-off: up to 90 s after the server was back, CloudStack still missed hosts.
describe('the only management server was away for long', () => {
  const links = 6;
  let clock: ManualClock;
  let service: AgentService;
  let server: LabManagementServer;
  /** What the next links draw; then 0.9. */
  let draws: number[] = [];

  beforeEach(async () => {
    clock = new ManualClock();
    draws = [];
    server = new LabManagementServer({ authority: authority() });
    await server.start();
    service = new AgentService({
      clock,
      log: createLog({ level: 'silent' }),
      commands: {} as never,
      powerReport: () => Promise.resolve(null),
      saveHostId: () => Promise.resolve(),
      forgetPlace: () => Promise.resolve(),
      random: () => draws.shift() ?? 0.9,
    });
  });
  afterEach(async () => {
    await server.stop();
    // Nothing is waited for that only the clock could end.
    await service.stop();
  });

  it('the link that finds it back tells the others', async () => {
    const { host, port } = server.address;
    await server.stop();
    for (let i = 0; i < links; i += 1)
      await service.add({
        machineId: `m-${i}`,
        facts: { ...facts, guid: `guid-${i}` },
        hostId: null,
        endpoint: { servers: [{ host, port }], credentials: fixed() },
      });
    const allWait = (): Promise<void> =>
      until(() => service.counts().waiting === links, 'every link to wait for its next attempt');
    await allWait();
    const pass = async (time: number): Promise<void> => {
      // In small steps, so that all links stay in step: what a dial takes is not the clock's.
      for (let second = 0; second < time; second += 1) {
        await clock.advance(seconds(1));
        await allWait();
      }
    };
    // Waits of 7, 14, 28, 56, 84 s; after the next attempt one link waits for 30 s and the others for 84 s.
    await pass(7 + 14 + 28 + 56 + 5);
    draws = [0];
    while (draws.length > 0) await pass(1);
    server = new LabManagementServer({ authority: authority(), port });
    await server.start();
    await clock.advance(seconds(31));
    await until(() => service.counts().up === 1, 'the first link');
    assert.equal(service.counts().waiting, links - 1);
    await clock.advance(seconds(8));
    await until(() => service.counts().up === links, 'all links');
  });
});
