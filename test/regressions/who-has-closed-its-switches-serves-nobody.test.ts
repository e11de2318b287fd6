import assert from 'node:assert/strict';
import { seconds } from '../../plugin-api/index.ts';
import { ManualClock } from '../../src/kernel/clock/manual-clock.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { Metrics } from '../../src/kernel/metrics/metrics.ts';
import type { Instances } from '../../src/operations/instances/instances.ts';
import { PortService } from '../../src/operations/ports/port-service.ts';
import type { Timings } from '../../src/operations/timings.ts';
import { at, SwitchScene, te, WillingSwitch } from '../operations/ports/switch-scene.ts';

// An instance that was stopping had closed its sessions, and still looked at what others asked for: it began a batch, which its end cut.
it('an instance that has closed its switches leaves what others ask for to the next holder', async () => {
  const scene = await SwitchScene.open();
  try {
    const device = new WillingSwitch();
    const timings: Partial<Timings> = { switchBatch: seconds(120), switchIdle: seconds(20) };
    const ports = new PortService(new Map([['Force10', device]]), {
      storage: scene.storage,
      clock: new ManualClock(),
      timings: timings as Timings,
      log: createLog({ level: 'silent' }),
      metrics: new Metrics(),
      instances: { shared: true, id: 'in-a' } as unknown as Instances,
    });
    await ports.read(at.name, [te(1)]);
    assert.equal(device.opened, 1);
    await ports.close();
    await ports.look([
      {
        ...{ id: 'sr-1', device: `switch:${at.name}`, instanceId: 'in-b', kind: 'observe' },
        ...{ body: { ports: [te(1)] }, state: 'waiting', outcome: null, createdAt: 1 },
      },
    ]);
    await scene.quiet();
    assert.equal(device.opened, 1);
  } finally {
    await scene.close();
  }
});
