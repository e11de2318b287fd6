import assert from 'node:assert/strict';
import { AgentService } from '../../src/api/cloudstack-agent/agent-service.ts';
import { ManualClock } from '../../src/kernel/clock/manual-clock.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { facts, fixed } from '../api/cloudstack-agent/agent-harness.ts';

// A machine whose operation ended just before the service stopped was read from the database meanwhile, and got a new link
// after all links were down: it kept the process alive, and connected, without a storage.
it('a machine that is to be connected while the service stops is not', async () => {
  const service = new AgentService({
    clock: new ManualClock(),
    log: createLog({ level: 'silent' }),
    commands: {} as never,
    powerReport: () => Promise.resolve(null),
    saveHostId: () => Promise.resolve(),
    forgetPlace: () => Promise.resolve(),
  });
  await service.stop();
  await service.add({
    machineId: 'm-1',
    facts: { ...facts, guid: 'guid-1' },
    hostId: null,
    endpoint: { servers: [{ host: '127.0.0.1', port: 1 }], credentials: fixed() },
  });
  assert.deepEqual(service.statuses(), []);
});
