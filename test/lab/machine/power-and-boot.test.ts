import assert from 'node:assert/strict';
import { Bench, nicConfig, rootDisk, seed, smallImage } from './bench.ts';
import { until } from './until.ts';

const none = { device: 'none', efi: false } as const;

describe('power and boot of a simulated machine', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = new Bench();
    await bench.start();
  });
  afterEach(() => bench.stop());

  it('stays without a bootable device when the disk is empty', async () => {
    bench.on('disk');
    await bench.phase('no-bootable-device');
    assert.equal(bench.machine.power(), 'on');
    assert.deepEqual(bench.boot.requests, []);
  });

  it('boots by PXE first when the flags say nothing', async () => {
    bench.on('none');
    await until('a result', () => bench.boot.results.length === 1);
  });

  it('boots the disk when PXE leads nowhere', async () => {
    await bench.install(nicConfig);
    bench.setPorts({ native: 200, tagged: [], up: true });
    bench.on('pxe');
    await bench.phase('os');
  });

  it('stops instead where the firmware is made so', async () => {
    const strict = new Bench({ pxeFailure: 'stop' });
    await strict.start();
    try {
      await strict.install(nicConfig);
      strict.setPorts({ native: 200, tagged: [], up: true });
      strict.on('pxe');
      await strict.phase('no-bootable-device');
    } finally {
      await strict.stop();
    }
  });

  it('does not boot an image that was torn', async () => {
    await bench.install(nicConfig);
    bench.machine.disks[0]!.write(500_000, Buffer.from([1, 2, 3]));
    bench.on('disk');
    await bench.phase('no-bootable-device');
  });

  for (const decision of ['sanboot', 'exit'] as const) {
    it(`boots the disk when the script says ${decision}`, async () => {
      await bench.install(nicConfig);
      bench.boot.decision = decision;
      bench.on('pxe');
      await bench.phase('os');
    });
  }

  it('powers off when the script says so', async () => {
    bench.boot.decision = 'poweroff';
    bench.on('pxe');
    await until('the script', () => bench.boot.requests.includes('GET /boot/v1/script'));
    await bench.phase('off');
    assert.equal(bench.machine.power(), 'off');
  });

  it('heeds ACPI only while a system runs', async () => {
    bench.on('disk');
    await bench.phase('no-bootable-device');
    bench.machine.control('soft', none);
    await until('the request', () => bench.machine.console.includes('ACPI power button: nobody heeds it'));
    assert.equal(bench.machine.power(), 'on');
    await bench.off();
    await bench.install(nicConfig);
    bench.on('disk');
    await bench.phase('os');
    bench.machine.control('soft', none);
    await bench.phase('off');
  });

  it('ignores a soft off when told to, and obeys a hard one', async () => {
    await bench.install(nicConfig);
    bench.machine.behaviours.add({ kind: 'ignores-soft-off' });
    bench.on('disk');
    await bench.phase('os');
    bench.machine.control('soft', none);
    await until('the request', () => bench.machine.console.includes('ACPI power button: nobody heeds it'));
    assert.equal(bench.machine.phase, 'os');
    await bench.off();
  });

  it('starts anew at a reset and at a cycle', async () => {
    await bench.install(nicConfig);
    for (const action of ['reset', 'cycle'] as const) {
      const starts = (): number => bench.machine.console.filter((line) => line.startsWith('booting')).length;
      const before = starts();
      if (bench.machine.power() === 'off') bench.on('disk');
      await until('a start', () => starts() > before || bench.machine.phase === 'os');
      await bench.phase('os');
      const running = starts();
      bench.machine.control(action, { device: 'disk', efi: false });
      await until(`a start after ${action}`, () => starts() > running);
      await bench.phase('os');
    }
  });

  it('boots the other device when it has the wrong one in mind', async () => {
    bench.machine.behaviours.add({ kind: 'wrong-device' }, 1);
    bench.on('disk');
    await until('a result', () => bench.boot.results.length === 1);
  });

  it('never asks when every NIC is dead', async () => {
    bench.machine.behaviours.add({ kind: 'dead-nic' });
    bench.on('pxe');
    await bench.phase('no-bootable-device');
    assert.deepEqual(bench.boot.requests, []);
  });

  it('loses power in the middle of an image, and installs when tried again', async () => {
    bench.machine.behaviours.add({ kind: 'dies-mid-image', percent: 40 }, 1);
    bench.boot.giveImage(smallImage(), rootDisk, seed(nicConfig));
    bench.on('pxe');
    await until('the transfer', () => bench.boot.ranges.length === 1);
    await bench.phase('off');
    assert.deepEqual(bench.boot.results, []);
    const torn = bench.machine.diskContent(bench.machine.disks[0]!);
    assert.deepEqual([torn.image, torn.bootable], ['lab-linux', false]);
    await bench.install(nicConfig);
  });

  for (const at of ['firmware', 'ipxe', 'agent', 'image'] as const) {
    it(`hangs at ${at}, powered on and silent, until it is switched off`, async () => {
      bench.machine.behaviours.add({ kind: 'hangs', at }, 1);
      bench.boot.giveImage(smallImage(), rootDisk, null);
      bench.on('pxe');
      await bench.phase('hung');
      assert.equal(bench.machine.power(), 'on');
      assert.deepEqual(bench.boot.results, []);
      await bench.off();
    });
  }

  it('hangs at the start of its system, and in an erase', async () => {
    await bench.install(nicConfig);
    bench.machine.behaviours.add({ kind: 'hangs', at: 'os' }, 1);
    bench.on('disk');
    await bench.phase('hung');
    await bench.off();
    bench.machine.behaviours.add({ kind: 'hangs', at: 'erase' }, 1);
    bench.boot.give({ id: 'op-3', phase: 'erase', grade: 'full', disks: [rootDisk] });
    bench.on('pxe');
    await bench.phase('hung');
    assert.equal(bench.boot.results.length, 1);
  });

  it('reports a failure of the agent as it is told to', async () => {
    bench.machine.behaviours.add({ kind: 'agent-fails', code: 'write', said: 'I/O error' }, 1);
    assert.deepEqual(await bench.runOrder(), { ok: false, error: { code: 'write', said: 'I/O error' } });
  });

  for (const when of ['before', 'after'] as const) {
    it(`ends without an order when somebody else asks ${when} it`, async () => {
      bench.machine.behaviours.add({ kind: 'second-asker', when }, 1);
      bench.on('pxe');
      await until('a second asker', () => bench.boot.contested);
      await bench.phase('off');
      assert.deepEqual(bench.boot.results, []);
    });
  }

  it('keeps its power when it is stuck', async () => {
    bench.machine.behaviours.add({ kind: 'power-stuck', at: 'off' });
    bench.on('pxe');
    await until('the command', () => bench.machine.console.includes('power stuck off'));
    assert.equal(bench.machine.power(), 'off');
    bench.machine.behaviours.clear();
    bench.on('disk');
    await bench.phase('no-bootable-device');
    bench.machine.behaviours.add({ kind: 'power-stuck', at: 'on' });
    bench.machine.control('off', none);
    await until('the command', () => bench.machine.console.includes('power stuck on'));
    assert.equal(bench.machine.power(), 'on');
  });

  it('takes longer when it is slow', async () => {
    const time = async (): Promise<number> => {
      const started = performance.now();
      await bench.runOrder();
      bench.boot.give(bench.boot.order);
      return performance.now() - started;
    };
    await time();
    const usual = await time();
    bench.machine.behaviours.add({ kind: 'slow', factor: 50 });
    assert.ok((await time()) > usual * 3);
  });
});
