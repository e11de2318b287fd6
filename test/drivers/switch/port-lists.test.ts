import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict';
import fc from 'fast-check';
import type { LabSwitchOptions } from '../../../lab/switch/index.ts';
import {
  DeviceError,
  os9PortId,
  parseVlanId,
  type DesiredPort,
  type DeviceCode,
  type SwitchSession,
} from '../../../plugin-api/index.ts';
import { membershipLine, renderSteps } from '../../../src/drivers/switch/force10-cli/render.ts';
import { intentOf, te, uplink, withLab, withSession, type LabFixture } from './lab-fixture.ts';
import { scriptedSwitch } from './scripted-switch.ts';

const v = parseVlanId;
const tenant: DesiredPort = { native: v(100), tagged: [v(200)], admin: 'up' };
const elsewhere: DesiredPort = { native: v(300), tagged: [], admin: 'up' };
const ports = [1, 2, 3, 4].map(te);

function withCode(code: DeviceCode, about: RegExp): (error: unknown) => boolean {
  return (error) => {
    ok(error instanceof DeviceError, String(error));
    equal(error.code, code, error.message);
    match(error.message, about);
    return true;
  };
}

async function move(fixture: LabFixture, session: SwitchSession, wish: DesiredPort): Promise<void> {
  const observed = await session.read([...ports, uplink]);
  const wishes = new Map(ports.map((port) => [port, wish]));
  await session.apply(fixture.driver.plan(observed, intentOf(wishes)));
}

/** What the switch was sent while the work went on. */
async function sentBy({ lab }: LabFixture, work: () => Promise<unknown>): Promise<readonly string[]> {
  const before = lab.transcript.lines().length;
  await work();
  return lab.transcript.lines().slice(before);
}

const lists = (lines: readonly string[]): readonly string[] =>
  lines.filter((line) => /tagged .*,/.test(line));

describe('lists of ports', () => {
  it('a VLAN takes and leaves all its ports with one line', async () => {
    await withLab({}, {}, async (fixture) => {
      await withSession(fixture, async (session) => {
        await move(fixture, session, tenant);
        const sent = await sentBy(fixture, () => move(fixture, session, elsewhere));
        const list = 'TenGigabitEthernet 1/1,1/2,1/3,1/4';
        deepEqual(lists(sent), [`no tagged ${list}`, `no untagged ${list}`, `untagged ${list}`]);
        ok(!sent.includes('exit'), sent.join('\n'));
      });
      for (const port of ports)
        deepEqual(fixture.lab.model.effective(port), { native: 300, tagged: [], up: true });
    });
  });

  it('every port is shut before its untagged VLAN changes, and opened after', async () => {
    await withLab({}, {}, async (fixture) => {
      await withSession(fixture, async (session) => {
        await move(fixture, session, tenant);
        const upElsewhere: string[] = [];
        fixture.lab.model.onChange(({ ports: changed }) => {
          for (const port of changed) {
            const { native, up } = fixture.lab.model.effective(port);
            if (up && native !== 100 && native !== 300) upElsewhere.push(`${port} in ${String(native)}`);
          }
        });
        await move(fixture, session, elsewhere);
        deepEqual(upElsewhere, []);
      });
    });
  });

  it('many ports of one VLAN take as many lines as it needs for none to be long', () => {
    const steps = Array.from(
      { length: 96 },
      (_, i) => ({ do: 'set-native', port: te(i + 1), vlan: v(100) }) as const,
    );
    const lines = renderSteps(steps).map(({ text }) => text);
    const joins = lines.filter((line) => line.startsWith('untagged '));
    equal(joins.length, 3);
    for (const line of joins) ok(line.length <= 200, line);
    deepEqual(
      [lines.length, lines.slice(0, 2), lines.at(-1)],
      [6, ['configure', 'interface vlan 100'], 'end'],
    );
  });

  it('no line is long, and the lines do what the steps say, each port once', () => {
    const port = fc.oneof(
      fc.tuple(fc.constantFrom('Te', 'Fo', 'Hu'), fc.nat(9), fc.nat(60)).map(([t, u, p]) => `${t} ${u}/${p}`),
      fc.tuple(fc.nat(9), fc.nat(60), fc.nat(4)).map(([u, p, lane]) => `Te ${u}/${p}/${lane}`),
      fc.nat(128).map((n) => `Po ${n}`),
    );
    const step = fc.record({
      do: fc.constantFrom('remove-tagged', 'remove-native', 'set-native', 'add-tagged' as const),
      vlan: fc.constantFrom(v(100), v(200)),
      port: port.map(os9PortId),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.boolean(), (drawn, inOrder) => {
        const steps = inOrder ? drawn.map((one) => ({ ...one, do: 'set-native' as const })) : drawn;
        const lines = renderSteps(steps);
        for (const { text } of lines) ok(text.length <= 200, text);
        const read: string[] = [];
        let vlan = 0;
        for (const { text } of lines) {
          vlan = Number(/^interface vlan (\d+)$/.exec(text)?.[1] ?? vlan);
          const [, what, type, numbers] = /^((?:no )?(?:un)?tagged) (\S+) (.+)$/.exec(text) ?? [];
          for (const number of numbers?.split(',') ?? []) {
            ok(!numbers!.includes(',') || /^\d+\/\d+$/.test(number), text);
            read.push(`${vlan} ${what} ${type} ${number}`);
          }
        }
        deepEqual(
          read,
          steps.map((one) => `${one.vlan} ${membershipLine([one as never]).text}`),
        );
      }),
    );
  });

  for (const refusedList of ['partial', 'atomic'] as const) {
    const options: Partial<LabSwitchOptions> = { knobs: { refusedList } };

    it(`one port that the switch does not let in is named, and it alone (${refusedList})`, async () => {
      await withLab(options, {}, async (fixture) => {
        const { lab, driver } = fixture;
        await withSession(fixture, async (session) => {
          await move(fixture, session, tenant);
          const observed = await session.read([...ports, uplink]);
          const steps = driver.plan(observed, intentOf(new Map(ports.map((port) => [port, elsewhere]))));
          lab.behaviours.on(
            /^untagged .*1\/4$/,
            {
              do: 'edit',
              when: 'before',
              edit: (model) => {
                model.setSwitchport(te(3), false, 'somebody');
              },
            },
            { times: 1 },
          );
          await rejects(
            session.apply(steps),
            withCode('switch.unprepared', /TenGigabitEthernet 1\/3: .*"untagged TenGigabitEthernet 1\/3"/),
          );
        });
        equal(lab.transcript.lines().at(-1), 'end');
        // The untagged VLAN of none was reached with the port open.
        for (const port of ports) equal(lab.model.effective(port).up, false);
      });
    });

    it(`ports that left by themselves meanwhile do not keep the others (${refusedList})`, async () => {
      await withLab(options, {}, async (fixture) => {
        const { lab } = fixture;
        await withSession(fixture, async (session) => {
          await move(fixture, session, tenant);
          lab.behaviours.on(/^no untagged /, {
            do: 'edit',
            when: 'before',
            edit: (model) => model.removeUntagged(100, te(2), 'somebody'),
          });
          await move(fixture, session, elsewhere);
        });
        for (const port of ports) deepEqual(lab.model.effective(port), { native: 300, tagged: [], up: true });
      });
    });
  }

  it('what a refused list did already is not sent again', async () => {
    await withLab({}, {}, async (fixture) => {
      const { lab } = fixture;
      await withSession(fixture, async (session) => {
        await move(fixture, session, tenant);
        const half = { do: 'edit', when: 'before', edit: (): void => undefined } as const;
        lab.behaviours.on(/^untagged .*,/, {
          ...half,
          edit: (model) => [te(1), te(2)].forEach((port) => model.addUntagged(300, port, 'half')),
        });
        lab.behaviours.on(/^untagged .*,/, { do: 'refuse', text: '% Error: half of it.' });
        const sent = await sentBy(fixture, () => move(fixture, session, elsewhere));
        deepEqual(
          sent.filter((line) => /^untagged/.test(line)),
          [
            'untagged TenGigabitEthernet 1/1,1/2,1/3,1/4',
            'untagged TenGigabitEthernet 1/3',
            'untagged TenGigabitEthernet 1/4',
          ],
        );
      });
      for (const port of ports) equal(lab.model.effective(port).native, 300);
    });
  });

  it('a switch that takes no lists is asked for one once in a session', async () => {
    await withLab({ knobs: { listsTaken: false } }, {}, async (fixture) => {
      await withSession(fixture, async (session) => {
        const sent = await sentBy(fixture, async () => {
          await move(fixture, session, tenant);
          await move(fixture, session, elsewhere);
        });
        equal(lists(sent).length, 1, sent.join('\n'));
      });
      for (const port of ports)
        deepEqual(fixture.lab.model.effective(port), { native: 300, tagged: [], up: true });
    });
  });

  it('a configuration lock that comes in the middle of a list is told as one', async () => {
    await withLab({}, {}, async (fixture) => {
      fixture.lab.behaviours.on(/^untagged .*,/, {
        do: 'refuse',
        text: '% Error: User "night-shift" on line console0 is in exclusive configuration mode.',
      });
      await withSession(fixture, async (session) => {
        const sent = await sentBy(fixture, () =>
          rejects(move(fixture, session, tenant), withCode('switch.locked', /night-shift/)),
        );
        deepEqual(sent.slice(-2), ['untagged TenGigabitEthernet 1/1,1/2,1/3,1/4', 'end']);
      });
    });
  });
});

describe('sub-modes', () => {
  it('are left first where the switch does not let one follow another, which is tried once in a session', async () => {
    await withLab({ knobs: { subModes: 'through configuration mode' } }, {}, async (fixture) => {
      await withSession(fixture, async (session) => {
        const sent = await sentBy(fixture, () => move(fixture, session, tenant));
        const refused = fixture.lab.transcript.entries.filter((entry) => entry.refused);
        equal(refused.length, 1, refused.map(({ line }) => line).join('\n'));
        // Into the first it goes from configuration mode; the refused line came twice.
        equal(sent.filter((line) => line === 'exit').length, sent.filter(isInterface).length - 2);
      });
      for (const port of ports)
        deepEqual(fixture.lab.model.effective(port), { native: 100, tagged: [200], up: true });
    });
  });

  for (const [shown, good] of [
    ['conf-if-te-1/2', true],
    ['conf-if', true],
    ['conf-if-te-1/12', false],
    ['conf-if-te-1/1', false],
    ['conf-if-vl-2', false],
    ['conf', false],
  ] as const)
    it(`nothing is sent into a port's mode when the prompt shows ${good ? 'no other' : 'another'}: ${shown}`, async () => {
      const lying = await scriptedSwitch((line) => {
        if (line === 'configure') return 'tor-a(conf)#';
        if (line === 'interface TenGigabitEthernet 1/2') return `tor-a(${shown})#`;
        return line === 'shutdown' ? `tor-a(${shown})#` : 'tor-a#';
      });
      try {
        await withLab({}, {}, async ({ driver, target }) => {
          const session = await driver.open({ ...target, port: lying.port });
          const applied = session.apply([{ do: 'set-admin', port: te(2), admin: 'down' }]);
          if (good) await applied;
          else await rejects(applied, withCode('switch.protocol', /another mode/));
          await session.close();
        });
        equal(lying.lines.includes('shutdown'), good);
      } finally {
        await lying.stop();
      }
    });
});

function isInterface(line: string): boolean {
  return line.startsWith('interface ');
}
