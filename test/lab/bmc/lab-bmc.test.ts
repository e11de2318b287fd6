import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { LabBmc } from '../../../lab/bmc/lab-bmc.ts';
import type { HostAction, HostBoot } from '../../../lab/bmc/bmc-host.ts';
import { seededRandom } from '../../../lab/bmc/seeded-random.ts';
import { StandaloneHost } from '../../../lab/bmc/standalone-host.ts';
import { milliseconds, seconds, type Bmc, type PowerState } from '../../../plugin-api/index.ts';
import { ManualClock } from '../../../src/kernel/clock/manual-clock.ts';
import { failure, newDriver, targetAt, until } from '../../drivers/power/ipmi-fixture.ts';

/** A host that only writes down what it is told. */
class NotingHost {
  state: PowerState = 'off';
  readonly told: { readonly action: HostAction; readonly boot: HostBoot }[] = [];

  power(): PowerState {
    return this.state;
  }

  control(action: HostAction, boot: HostBoot): void {
    this.told.push({ action, boot });
    if (action === 'on' || action === 'off') this.state = action;
  }
}

/** A BMC whose time stands still until it is moved, and a client in real time. */
async function onBench(
  options: Omit<ConstructorParameters<typeof LabBmc>[0], 'host' | 'clock'>,
  test: (bench: {
    bmc: LabBmc;
    host: NotingHost;
    time: ManualClock;
    client: Bmc;
    port: number;
  }) => Promise<void>,
): Promise<void> {
  const time = new ManualClock();
  const host = new NotingHost();
  const bmc = new LabBmc({ ...options, host, clock: time });
  const driver = newDriver({ answerTimeouts: [100, 100] });
  try {
    const { port } = await bmc.listen();
    await test({ bmc, host, time, client: driver.open(targetAt(port)), port });
  } finally {
    await driver.close();
    await bmc.close();
  }
}

const within = seconds(5);
const pxe = { device: 'pxe', persistent: false, firmware: 'efi' } as const;

describe('lab BMC', () => {
  it('tells its host what to do and what to boot, and does nothing by itself', () =>
    onBench({}, async ({ bmc, host, client }) => {
      await client.setBootDevice(pxe);
      assert.deepEqual(host.told, []);
      await client.turn('on', within);
      await client.turn('off', within);
      await client.turn('on', within);
      const [none, efi] = [
        { device: 'none', efi: false },
        { device: 'pxe', efi: true },
      ];
      assert.deepEqual(host.told, [
        { action: 'on', boot: efi },
        { action: 'off', boot: none },
        { action: 'on', boot: none },
      ]);
      assert.deepEqual(
        bmc.log.map(({ action, by, completion, effective }) => ({ action, by, completion, effective })),
        ['on', 'off', 'on'].map((action) => ({ action, by: 'admin', completion: 0, effective: true })),
      );
    }));

  it('forgets boot flags after 60 seconds, counted from the last chassis control', () =>
    // Without parameter 3, as a client that does not know of the 60 seconds.
    onBench({ behaviours: { refuseBootParameter3: true } }, async ({ bmc, host, time, client }) => {
      host.state = 'on';
      await client.setBootDevice(pxe);
      await time.advance(seconds(59));
      await client.soft();
      await time.advance(seconds(59));
      assert.equal(bmc.bootFlags.toString('hex'), 'a004000000');
      await time.advance(seconds(1));
      assert.equal(bmc.bootFlags.toString('hex'), '2004000000');
      assert.equal(await client.bootDevice(), null);
      await client.setBootDevice({ ...pxe, persistent: true });
      await time.advance(seconds(3_600));
      assert.equal(bmc.bootFlags.toString('hex'), 'e004000000');
      bmc.remake({ persistentExpires: true });
      assert.equal(bmc.bootFlags.toString('hex'), '6004000000');
    }));

  it('keeps boot flags for ever where parameter 3 says so', () =>
    onBench({}, async ({ bmc, time, client }) => {
      await client.setBootDevice(pxe);
      await time.advance(seconds(3_600));
      assert.equal(bmc.bootFlags.toString('hex'), 'a004000000');
    }));

  it('drops idle and half-open sessions in silence', () =>
    onBench({ traits: { sessionTimeout: seconds(60), setupTimeout: seconds(10) } }, async (bench) => {
      const { bmc, time, client, port } = bench;
      await client.state();
      await time.advance(seconds(59));
      await client.state();
      await time.advance(seconds(59));
      assert.equal(bmc.sessionsUsed, 1);
      await time.advance(seconds(1));
      assert.equal(bmc.sessionsUsed, 0);
      // An Open Session Request for suite 3 that nothing follows.
      const stranger = createSocket('udp4');
      const request =
        '0600ff0706100000000000000000200000030000a4a3a2a0000000080100000001000008010000000200000801000000';
      stranger.send(Buffer.from(request, 'hex'), port, '127.0.0.1');
      await until(() => bmc.sessionsUsed === 1);
      stranger.close();
      await time.advance(seconds(10));
      assert.equal(bmc.sessionsUsed, 0);
    }));

  it('has no more sessions than it is made with', () =>
    onBench({ traits: { maxSessions: 2 } }, async ({ bmc, client, port }) => {
      const drivers = [newDriver({ slotRetries: 0 }), newDriver({ slotRetries: 0 })];
      const [second, third] = drivers.map((driver) => driver.open(targetAt(port)));
      await client.state();
      await second!.state();
      await failure('power.busy', third!.state());
      await client.close();
      assert.equal(await third!.state(), 'off');
      assert.equal(bmc.sessionsUsed, 2);
      await Promise.all(drivers.map((driver) => driver.close()));
    }));

  it('answers a control that does not fit the power state as it is made to', () =>
    onBench({ traits: { onWhenOn: 0xd5, offWhenOff: 0xd5 } }, async ({ bmc, host, client }) => {
      // The host changes between the driver's reading and its command.
      const lie = host.power.bind(host);
      let readings = 0;
      host.power = () => (readings++ === 0 ? 'on' : lie());
      assert.ok((await client.turn('off', within)).verified);
      assert.deepEqual(
        bmc.log.map(({ completion, effective }) => ({ completion, effective })),
        [{ completion: 0xd5, effective: false }],
      );
      assert.deepEqual(host.told, []);
    }));

  it('answers a presence ping', () =>
    onBench({}, async ({ port }) => {
      const socket = createSocket('udp4');
      const pong = new Promise<Buffer>((resolve) => socket.once('message', resolve));
      socket.send(Buffer.from('0600ff06000011be802a0000', 'hex'), port, '127.0.0.1');
      assert.match((await pong).toString('hex'), /^0600ff06000011be402a0010000011be/);
      socket.close();
    }));

  it('survives anything that is thrown at it', () =>
    onBench({}, async ({ bmc, client, port }) => {
      const socket = createSocket('udp4');
      const random = seededRandom(7);
      const byte = (): number => Math.floor(random() * 256);
      const heads = [
        '',
        '0600ff07',
        '0600ff0706',
        '0600ff070610000000000000000020',
        '0600ff06',
        '0600ff0700',
      ];
      for (let i = 0; i < 600; i += 1) {
        const tail = Buffer.from(Array.from({ length: Math.floor(random() * 60) }, byte));
        const datagram = Buffer.concat([Buffer.from(heads[i % heads.length]!, 'hex'), tail]);
        socket.send(datagram, port, '127.0.0.1');
        if (i % 50 === 49) await until(() => bmc.counters['received']! >= i - 20);
      }
      socket.close();
      assert.equal(await client.state(), 'off');
    }));

  it('delays its answers by its own clock, and sends none after its end', () =>
    onBench({}, async ({ bmc, time, client }) => {
      await client.state();
      bmc.behave({ delayMs: 1_000 });
      const reading = client.state();
      await until(() => time.sleeping > 0);
      await time.advance(seconds(1));
      assert.equal(await reading, 'off');
      bmc.behave({ delayMs: 1_000 });
      const lost = failure('power.unreachable', client.state());
      await until(() => time.sleeping > 0);
      await bmc.close();
      await lost;
    }));

  it('has the same chances for the same seed', () => {
    const [a, b, c] = [seededRandom(1), seededRandom(1), seededRandom(2)];
    const ten = (random: () => number): number[] => Array.from({ length: 10 }, random);
    const first = ten(a);
    assert.deepEqual(ten(b), first);
    assert.notDeepEqual(ten(c), first);
    assert.ok(first.every((number) => number >= 0 && number < 1));
  });
});

describe('standalone host', () => {
  it('follows its BMC after a while and tells what it booted from', async () => {
    const time = new ManualClock();
    const host = new StandaloneHost({
      clock: time,
      switchTime: milliseconds(50),
      cycleTime: milliseconds(500),
      shutdownTime: milliseconds(300),
    });
    const boot = { device: 'pxe', efi: true } as const;
    host.control('on', boot);
    assert.equal(host.power(), 'off');
    await time.advance(milliseconds(50));
    assert.equal(host.power(), 'on');
    host.control('cycle', { device: 'disk', efi: false });
    await time.advance(milliseconds(50));
    assert.equal(host.power(), 'off');
    await time.advance(milliseconds(500));
    assert.equal(host.power(), 'on');
    host.control('soft', boot);
    await time.advance(milliseconds(299));
    assert.equal(host.power(), 'on');
    await time.advance(milliseconds(1));
    assert.equal(host.power(), 'off');
    assert.deepEqual(host.boots, [boot, { device: 'disk', efi: false }]);
  });
});
