import { deepEqual, equal, ok, rejects } from 'node:assert/strict';
import { DeviceError, os9PortId, type PortId } from '../../../plugin-api/index.ts';
import { te, uplink, withLab, withSession } from './lab-fixture.ts';
import { scriptedSwitch } from './scripted-switch.ts';

const many = Array.from({ length: 12 }, (_, i) => te(i + 1));
const all = /^show running-config interface$/;

describe('reading many ports of an OS9 switch', () => {
  it('takes two commands, and shows what reading one after the other shows', async () => {
    await withLab({ ports: ['Te 1/1-1/12'], vlans: { 100: 'one', 200: 'two' } }, {}, async (fixture) => {
      const { model, transcript } = fixture.lab;
      const by = 'test';
      model.addUntagged(100, te(1), by);
      model.addTagged(200, te(1), by);
      model.setPort(te(2), { shutdown: true, description: 'interface TenGigabitEthernet 1/3' }, by);
      for (const port of [te(3), te(4), te(5), te(6)]) model.setSwitchport(port, false, by);
      model.setHybrid(te(4), false, by);
      model.setLag(te(5), os9PortId('Po 1'), 'channel-member', by);
      model.setLag(te(6), os9PortId('Po 1'), 'lacp', by);
      model.setPortIp(te(3), '10.0.0.1/31', by);
      model.setPort(te(7), { extra: ['mtu 9216', 'spanning-tree rstp edge-port'] }, by);
      await withSession(fixture, async (session) => {
        transcript.clear();
        const together = await session.read([...many, uplink]);
        // A port outside layer 2 mode may be a member of a static group, which only its own state tells.
        const outside = transcript.lines().filter((line) => /^show interfaces /.test(line));
        equal(outside.length, 2, outside.join('\n'));
        deepEqual(
          transcript.lines().filter((line) => !outside.includes(line)),
          ['show vlan', 'show running-config interface'],
        );
        for (const port of [...many, uplink]) {
          const alone = await session.read([port]);
          deepEqual(together.ports.get(port), alone.ports.get(port), port);
        }
        equal(together.ports.get(te(5))!.guarded, 'a LAG member (of Port-channel 1)');
        equal(together.ports.get(te(2))!.admin, 'down');
      });
    });
  });

  it('asks for each port where the firmware does not tell all at once', async () => {
    await withLab({ ports: ['Te 1/1-1/12'] }, {}, async (fixture) => {
      const { behaviours, transcript } = fixture.lab;
      const text = '% Error: Incomplete command.';
      behaviours.on(all, { do: 'refuse', text }, { times: Infinity });
      await withSession(fixture, async (session) => {
        transcript.clear();
        const { ports } = await session.read(many);
        deepEqual([...ports.keys()], many);
        equal(transcript.lines().length, 2 + many.length);
        ok([...ports.values()].every((port) => port.prepared && port.native === 'default'));
      });
    });
  });

  it('asks once more for a port that is not among them, and leaves out one that does not exist', async () => {
    await withLab({ ports: ['Te 1/1-1/12'] }, {}, async (fixture) => {
      const missing = te(77);
      await withSession(fixture, async (session) => {
        const { ports } = await session.read([...many, missing]);
        deepEqual([...ports.keys()], many);
      });
      equal(
        fixture.lab.transcript
          .lines()
          .filter((line) => line.startsWith(`show running-config interface ${missing}`)).length,
        1,
      );
    });
  });

  it('takes what an answer leaves out from the port itself', async () => {
    await reading(
      (port) => `interface ${port}\r\n no ip address\r\n portmode hybrid\r\n switchport\r\n no shutdown`,
      async (read, lines) => {
        const ports = await read();
        deepEqual([...ports.keys()].sort(), [...many].sort());
        ok([...ports.values()].every(({ admin, prepared }) => admin === 'up' && prepared));
        const single = lines().filter((line) => /^show running-config interface ./.test(line));
        equal(single.length, many.length - 3);
      },
    );
  });

  it('notices an I/O aggregator there too', async () => {
    await reading(
      (port) => `interface ${port}\r\n auto vlan\r\n no shutdown`,
      async (read) => {
        await rejects(
          read(),
          (error) =>
            error instanceof DeviceError &&
            error.code === 'switch.protocol' &&
            /aggregator/.test(error.message),
        );
      },
    );
  });
});

/** A switch whose one answer for all ports holds the first three only. */
async function reading(
  config: (port: PortId) => string,
  work: (
    read: () => Promise<ReadonlyMap<PortId, { readonly admin: string; readonly prepared: boolean }>>,
    lines: () => readonly string[],
  ) => Promise<void>,
): Promise<void> {
  const vlans = [
    '    NUM    Status    Description                     Q Ports',
    '*   1      Active                                    U Te 1/1-1/12',
  ];
  const fake = await scriptedSwitch((line) => {
    const port = /^show running-config interface (.+)$/.exec(line)?.[1];
    const told =
      line === 'show vlan'
        ? vlans
        : all.test(line)
          ? many.slice(0, 3).map(config)
          : port === undefined
            ? []
            : [config(port as PortId)];
    return [...told, 'tor-a#'].join('\r\n');
  });
  try {
    await withLab({}, {}, async ({ driver, target }) => {
      const session = await driver.open({ ...target, port: fake.port });
      try {
        await work(
          async () => (await session.read(many)).ports,
          () => fake.lines,
        );
      } finally {
        await session.close();
      }
    });
  } finally {
    await fake.stop();
  }
}
