import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import ssh2 from 'ssh2';
import { syslogLine, type Behaviour } from '../../../lab/switch/index.ts';
import {
  DeviceError,
  Secret,
  os9PortId,
  parseVlanId,
  portSatisfies,
  type DesiredPort,
  type DeviceCode,
  type SwitchSession,
} from '../../../plugin-api/index.ts';
import { intentOf, te, uplink, withLab, withSession, type LabFixture } from './lab-fixture.ts';

const { Server } = ssh2;
const v = parseVlanId;
const tenant: DesiredPort = { native: v(100), tagged: [v(200)], admin: 'up' };

function withCode(code: DeviceCode, about?: RegExp): (error: unknown) => boolean {
  return (error) => {
    ok(error instanceof DeviceError, String(error));
    equal(error.code, code, error.message);
    if (about) match(error.message, about);
    return true;
  };
}

/** Read, plan and apply for port 1, as far as it goes. */
async function change({ driver }: LabFixture, session: SwitchSession, wish = tenant): Promise<void> {
  const observed = await session.read([te(1), uplink]);
  await session.apply(driver.plan(observed, intentOf(new Map([[te(1), wish]]), { carried: [v(100)] })));
}

/** A new session brings the port to its state whatever the last one left behind. */
async function recovers(fixture: LabFixture): Promise<void> {
  fixture.lab.behaviours.clear();
  await withSession(fixture, async (session) => {
    await change(fixture, session);
    await session.save();
  });
  deepEqual(fixture.lab.model.effective(te(1)), { native: 100, tagged: [200], up: true });
  equal(fixture.lab.model.saved, true);
}

describe('Force10 driver in trouble', () => {
  it('stops at a refused line, names it and what the switch said, and leaves the configuration mode', async () => {
    await withLab({}, {}, async (fixture) => {
      const text = '% Error: VLAN 200 is being modified.';
      fixture.lab.behaviours.on(/^tagged .*1\/1$/, { do: 'refuse', text });
      await withSession(fixture, async (session) => {
        await rejects(
          change(fixture, session),
          withCode(
            'switch.refused',
            /tor-a TenGigabitEthernet 1\/1.*"tagged TenGigabitEthernet 1\/1" \(VLAN 200, line \d+ of \d+\).*being modified/,
          ),
        );
      });
      equal(fixture.lab.transcript.lines().at(-1), 'end');
      // The native move was cut in its middle: the port waits shut.
      equal(fixture.lab.model.effective(te(1)).up, false);
      await recovers(fixture);
    });
  });

  it('tells refusals apart that need an operator', async () => {
    await withLab({}, {}, async (fixture) => {
      const texts: readonly [string, DeviceCode][] = [
        ['% Error: Port is in Layer-2 mode Te 1/1.', 'switch.unprepared'],
        ['Error : Te 1/1 is in Layer 2 LAG', 'switch.port-guarded'],
        ['%Error: something new', 'switch.refused'],
      ];
      for (const [text, code] of texts) {
        fixture.lab.behaviours.on(/^untagged /, { do: 'refuse', text });
        const remedy = code === 'switch.unprepared' ? /portmode hybrid/ : /./;
        await withSession(fixture, (session) => rejects(change(fixture, session), withCode(code, remedy)));
      }
      await recovers(fixture);
    });
  });

  for (const when of ['before', 'after'] as const) {
    it(`reports a session that breaks ${when} the effect, and recovers by reading`, async () => {
      await withLab({}, {}, async (fixture) => {
        fixture.lab.behaviours.on(/^untagged /, { do: 'disconnect', when });
        await withSession(fixture, (session) =>
          rejects(change(fixture, session), withCode('switch.session-lost', /"untagged/)),
        );
        await recovers(fixture);
      });
    });

    it(`reports a switch that hangs ${when} the effect, and recovers by reading`, async () => {
      await withLab({}, { commandTimeout: '800ms' }, async (fixture) => {
        fixture.lab.behaviours.on(/^untagged /, { do: 'hang', when });
        await withSession(fixture, (session) =>
          rejects(change(fixture, session), withCode('switch.timeout', /"untagged/)),
        );
        await recovers(fixture);
      });
    });
  }

  it('ends a batch with its time, however quick each command is', async () => {
    await withLab({ latencyMs: 30 }, { sessionTimeout: '1s' }, async (fixture) => {
      const steps = Array.from(
        { length: 60 },
        (_, i) => ({ do: 'ensure-vlan', vlan: v(100 + i), description: `csbm-${100 + i}` }) as const,
      );
      await withSession(fixture, (session) => rejects(session.apply(steps), withCode('switch.timeout')));
    });
  });

  it('stops when told to, in the middle of a command', async () => {
    await withLab({}, {}, async (fixture) => {
      fixture.lab.behaviours.on(/^show vlan/, { do: 'hang', when: 'before' });
      const session = await fixture.driver.open(fixture.target);
      const told = new AbortController();
      const reading = session.read([te(1)], told.signal);
      told.abort(new Error('enough'));
      await rejects(reading, /enough/);
      await session.close();
    });
  });

  it('names who holds the configuration lock', async () => {
    await withLab({}, {}, async (fixture) => {
      fixture.lab.behaviours.on(/^configure/, { do: 'lock', ms: 60_000, user: 'night-shift' });
      await withSession(fixture, (session) =>
        rejects(change(fixture, session), withCode('switch.locked', /night-shift/)),
      );
    });
  });

  it('reports a change that could not be saved', async () => {
    await withLab({}, {}, async (fixture) => {
      const { lab } = fixture;
      lab.behaviours.on(/^write/, { do: 'fail-save' });
      await withSession(fixture, async (session) => {
        await change(fixture, session);
        await rejects(session.save(), withCode('switch.unsaved'));
        equal((await session.read([te(1)])).unsaved, true);
        equal(lab.model.saved, false);
        await session.save();
        equal((await session.read([te(1)])).unsaved, false);
      });
      equal(lab.model.saved, true);
    });
  });

  it('refuses a switch whose host key changed', async () => {
    await withLab({}, {}, async (fixture) => {
      const pinned = { ...fixture, target: { ...fixture.target, hostKeyPin: fixture.lab.hostKeySha256 } };
      await withSession(pinned, (session) => session.read([te(1)]));
      await fixture.lab.reload({ newHostKey: true });
      await rejects(
        pinned.driver.open({ ...pinned.target, port: fixture.lab.port }),
        withCode('switch.host-key', /SHA256:/),
      );
    });
  });

  it('logs in by password or by keyboard-interactive', async () => {
    const each = [['password'], ['keyboard-interactive'], ['password', 'keyboard-interactive']] as const;
    for (const methods of each) {
      await withLab({ methods }, {}, async (fixture) => {
        await withSession(fixture, (session) => session.read([te(1)]));
        const target = { ...fixture.target, password: new Secret('another-secret') };
        await rejects(fixture.driver.open(target), withCode('switch.auth', /"admin"/));
      });
    }
  });

  it('sends a wrong password once, whatever the switch offers, so that nobody is locked out', async () => {
    const tried: string[] = [];
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const hostKeys = [privateKey.export({ type: 'pkcs1', format: 'pem' })];
    const server = new Server({ hostKeys }, (client) => {
      client.on('error', () => undefined);
      client.on('authentication', (login) => {
        const refuse = (): void => login.reject(['keyboard-interactive', 'password']);
        if (login.method === 'keyboard-interactive')
          login.prompt([{ prompt: 'Password: ', echo: false }], ([answer]) => {
            tried.push(answer ?? '');
            refuse();
          });
        else {
          if (login.method === 'password') tried.push(login.password);
          refuse();
        }
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const { port } = server.address() as AddressInfo;
      const { driver, target } = await gone();
      await rejects(driver.open({ ...target, port }), withCode('switch.auth'));
      deepEqual(tried, ['login-secret']);
    } finally {
      server.close();
    }
  });

  it('refuses a wrong or missing enable password', async () => {
    await withLab({ privilege: 1, enableSecret: 'enable-secret' }, {}, async ({ driver, target }) => {
      const wrong = { ...target, enablePassword: new Secret('another-secret') };
      await rejects(driver.open(wrong), withCode('switch.auth', /enable password/));
      await rejects(
        driver.open({ ...target, enablePassword: undefined }),
        withCode('switch.auth', /enable password/),
      );
    });
  });

  it('says what is wrong with the connection', async () => {
    await withLab({ crypto: 'legacy' }, {}, async (fixture) => {
      const { driver, target, lab } = fixture;
      await rejects(
        driver.open({ ...target, legacyCrypto: false }),
        withCode('switch.crypto', /legacyCrypto/),
      );
      await rejects(driver.open({ ...target, transport: 'rest' }), withCode('switch.transport', /REST/));
      lab.reception = 'closed';
      await rejects(driver.open(target), withCode('switch.unreachable'));
    });
    await withLab({}, { connectTimeout: '300ms' }, async ({ driver, target, lab }) => {
      lab.reception = 'silent';
      await rejects(driver.open(target), withCode('switch.unreachable', /in time/));
    });
    const { driver, target } = await gone();
    await rejects(driver.open(target), withCode('switch.unreachable', /ECONNREFUSED/));
  });

  it('reports a switch without a free line, and frees its own', async () => {
    await withLab({ vtyLines: 1 }, {}, async (fixture) => {
      await withSession(fixture, async () => {
        await rejects(fixture.driver.open(fixture.target), withCode('switch.unreachable'));
      });
      await withSession(fixture, (session) => session.read([te(1)]));
      equal(fixture.lab.sessions.max, 1);
    });
  });

  it('leaves LAG members, routed ports and ports in use without preparation alone', async () => {
    await withLab({ ports: ['Te 1/1-1/4'], prepared: false }, {}, async (fixture) => {
      const { model } = fixture.lab;
      const lag = os9PortId('Po 1');
      model.ensureLag(lag, 'test');
      model.setSwitchport(lag, true, 'test');
      model.setLag(te(1), lag, 'channel-member', 'test');
      model.setLag(te(2), lag, 'lacp', 'test');
      model.setPortIp(te(3), '10.0.0.1/31', 'test');
      model.setSwitchport(te(4), true, 'test');
      model.ensureVlan(50, 'test');
      model.addUntagged(50, te(4), 'test');
      const before = model.dump();
      await withSession(fixture, async (session) => {
        const observed = await session.read([te(1), te(2), te(3), te(4), uplink]);
        const planFor = (n: number) => async () =>
          fixture.driver.plan(observed, intentOf(new Map([[te(n), tenant]])));
        await rejects(planFor(1), withCode('switch.port-guarded', /LAG/));
        await rejects(planFor(2), withCode('switch.port-guarded', /LAG/));
        await rejects(planFor(3), withCode('switch.port-guarded', /routed/));
        await rejects(
          planFor(4),
          withCode('switch.unprepared', /native 50.*portmode hybrid.*switch-os9\.md/),
        );
      });
      deepEqual(model.dump(), before);
    });
  });

  it('prepares a port that is in layer 2 mode and in no VLAN but the default one', async () => {
    await withLab({ prepared: false }, {}, async (fixture) => {
      fixture.lab.model.setSwitchport(te(1), true, 'test');
      await withSession(fixture, (session) => change(fixture, session));
      deepEqual(fixture.lab.model.effective(te(1)), { native: 100, tagged: [200], up: true });
    });
  });

  it('does not prepare ports where that is switched off', async () => {
    await withLab({ prepared: false }, { preparePorts: false }, async (fixture) => {
      await withSession(fixture, (session) =>
        rejects(change(fixture, session), withCode('switch.unprepared')),
      );
    });
  });

  it('reads through log lines, prompts in descriptions, the pager and a hostname that changes', async () => {
    const noise = [syslogLine, `Mar 30 20:20:41: ${syslogLine}`];
    await withLab(
      {
        terminalLength: 5,
        vlans: { 10: 'tor-a# ', 20: 'tor-a(conf)#', 30: 'host>', 40: '% Error: not one' },
        chunking: { seed: 7 },
      },
      {},
      async (fixture) => {
        const { behaviours, model } = fixture.lab;
        behaviours.on(/^terminal length/, { do: 'refuse', text: '% Error: Invalid input at "^" marker.' });
        behaviours.on(/^show vlan/, { do: 'noise', where: 'within', lines: noise }, { times: Infinity });
        behaviours.on(/^show run/, { do: 'noise', where: 'after', lines: noise }, { times: Infinity });
        behaviours.on(/^untagged/, { do: 'noise', where: 'before', lines: noise }, { times: Infinity });
        behaviours.on(/^interface vlan 200/, { do: 'hostname', name: 'tor-renamed' });
        model.edit('test', (config) => {
          config.ports.get(te(1))!.description = 'tor-a#';
        });
        await withSession(fixture, async (session) => {
          await change(fixture, session);
          const after = await session.read([te(1), uplink]);
          deepEqual(after.ports.get(te(1)), {
            native: 100,
            tagged: [200],
            admin: 'up',
            prepared: true,
            guarded: null,
          });
          deepEqual(
            [...after.vlans.keys()].sort((a, b) => a - b),
            [1, 10, 20, 30, 40, 100, 200],
          );
        });
        deepEqual(model.effective(te(1)), { native: 100, tagged: [200], up: true });
      },
    );
  });

  it('does not delete a VLAN that somebody else came to use after it was read', async () => {
    await withLab({}, {}, async (fixture) => {
      const { lab, driver } = fixture;
      await withSession(fixture, async (session) => {
        await change(fixture, session);
        const observed = await session.read([te(1), uplink]);
        const cleared: DesiredPort = { native: null, tagged: [], admin: 'down' };
        const steps = driver.plan(observed, intentOf(new Map([[te(1), cleared]]), { retired: [v(100)] }));
        lab.model.addUntagged(100, te(3), 'somebody');
        await rejects(session.apply(steps), withCode('switch.vlan-guarded', /members/));
      });
      equal(lab.model.effective(te(3)).native, 100);
    });
  });

  it('converges through random faults, touches no other port and saves in the end', async function () {
    this.timeout(60_000);
    const vlans = [100, 200, 300].map(v);
    const wish: fc.Arbitrary<DesiredPort> = fc
      .record({
        native: fc.constantFrom(...vlans, 'default' as const),
        tagged: fc.subarray(vlans),
        admin: fc.constantFrom('up' as const, 'down' as const),
      })
      .map(({ native, tagged, admin }) => ({ native, tagged: tagged.filter((id) => id !== native), admin }));
    const fault: fc.Arbitrary<Behaviour> = fc.oneof(
      fc.record({
        do: fc.constantFrom('disconnect' as const, 'hang' as const),
        when: fc.constantFrom('before' as const, 'after' as const),
      }),
      fc.constant<Behaviour>({ do: 'refuse', text: '% Error: Try again.' }),
      fc.constant<Behaviour>({ do: 'hostname', name: 'tor-x' }),
      fc.record({
        do: fc.constant('noise' as const),
        where: fc.constantFrom<NoisePlace>('before', 'within', 'after', 'on the prompt'),
        lines: fc.constant([syslogLine]),
      }),
    );
    const step = fc.record({ wish, fault, nth: fc.integer({ min: 1, max: 12 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 3 }), fc.nat(), async (steps, seed) => {
        await withLab({ chunking: { seed } }, { commandTimeout: '500ms' }, async (fixture) => {
          const others = [te(2), te(3), te(4)].map((port) => fixture.lab.model.effective(port));
          for (const { wish: wanted, fault: behaviour, nth } of steps) {
            fixture.lab.behaviours.on(/./, behaviour, { nth });
            await attempts(8, async () => {
              await withSession(fixture, async (session) => {
                await change(fixture, session, wanted);
                const after = await session.read([te(1), uplink]);
                ok(portSatisfies(after.ports.get(te(1))!, wanted));
                await session.save();
              });
            });
            const actual = fixture.lab.model.effective(te(1));
            equal(actual.up, wanted.admin === 'up');
            const native = wanted.native === 'default' ? 1 : wanted.native;
            if (actual.up) deepEqual(actual, { native, tagged: wanted.tagged, up: true });
            equal(fixture.lab.model.saved, true);
            deepEqual(
              [te(2), te(3), te(4)].map((port) => fixture.lab.model.effective(port)),
              others,
            );
          }
        });
      }),
      // A busy machine goes through fewer of them.
      { numRuns: 12, interruptAfterTimeLimit: 12_000 },
    );
  });

  it('uses one session for a whole batch', async () => {
    await withLab({}, {}, async (fixture) => {
      const ports = [te(1), te(2), te(3), te(4)];
      await withSession(fixture, async (session) => {
        const observed = await session.read([...ports, uplink]);
        const wish = intentOf(new Map(ports.map((port) => [port, tenant])), { carried: [v(100), v(200)] });
        await session.apply(fixture.driver.plan(observed, wish));
        await session.save();
      });
      const { max, total } = fixture.lab.sessions;
      deepEqual({ max, total }, { max: 1, total: 1 });
      for (const port of ports) equal(fixture.lab.model.effective(port).native, 100);
    });
  });

  it('shows exactly the lines that it sends, and no secret in them, in the log or in an error', async () => {
    await withLab({ privilege: 1, enableSecret: 'enable-secret' }, {}, async (fixture) => {
      await withSession(fixture, async (session) => {
        const observed = await session.read([te(1), uplink]);
        const steps = fixture.driver.plan(observed, intentOf(new Map([[te(1), tenant]])));
        const sentBefore = fixture.lab.transcript.lines().length;
        await session.apply(steps);
        deepEqual(fixture.lab.transcript.lines().slice(sentBefore), fixture.driver.render(steps));
      });
      const told = fixture.log.join('\n');
      match(told, /untagged TenGigabitEthernet 1\/1/);
      ok(!/login-secret|enable-secret/.test(told), told);
    });
  });
});

type NoisePlace = Extract<Behaviour, { do: 'noise' }>['where'];

/** Tries until it works; only faults of a device may come between. */
async function attempts(most: number, work: () => Promise<void>): Promise<void> {
  for (let left = most; ; left -= 1) {
    try {
      await work();
      return;
    } catch (error) {
      if (!(error instanceof DeviceError) || left <= 1) throw error;
    }
  }
}

/** The target of a switch that is no longer there. */
async function gone(): Promise<LabFixture> {
  let fixture: LabFixture | undefined;
  await withLab({}, {}, async (started) => {
    fixture = started;
  });
  return fixture!;
}
