import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { inspect } from 'node:util';
import { LabBmc } from '../../../lab/bmc/lab-bmc.ts';
import { StandaloneHost } from '../../../lab/bmc/standalone-host.ts';
import { milliseconds, Secret, seconds, type PowerState } from '../../../plugin-api/index.ts';
import { ipmiSettings } from '../../../src/drivers/power/ipmi/ipmi-settings.ts';
import { clock, failure, newDriver, onFloor, targetAt, until } from './ipmi-fixture.ts';

const within = seconds(5);
const actions = (bmc: LabBmc): string[] => bmc.log.map((entry) => entry.action);

describe('IPMI driver', () => {
  for (const suite of [3, 17] as const) {
    it(`reads, switches on and off and confirms, over one session of suite ${suite}`, () =>
      onFloor({ traits: { suites: [suite] } }, async ({ bmc, host, driver, target }) => {
        const one = driver.open(target());
        assert.equal(await one.state(), 'off');
        const on = await one.turn('on', within);
        assert.equal(host.power(), 'on');
        assert.ok(on.verified);
        assert.match(on.summary, /^ipmi 127\.0\.0\.1:\d+: power is on \(read back\)$/);
        assert.equal((await one.turn('on', within)).data?.['commandsSent'], 0);
        await one.turn('off', within);
        assert.equal(host.power(), 'off');
        assert.deepEqual(actions(bmc), ['on', 'off']);
        assert.deepEqual(await one.identity(), {
          manufacturer: 343,
          product: 0x1234,
          firmware: '2.17',
          suite,
        });
        assert.equal(bmc.counters['session'], 1);
        await one.close();
        assert.equal(bmc.sessionsUsed, 0);
        assert.equal(await one.state(), 'off');
        assert.equal(bmc.counters['session'], 2);
        for (const fault of ['malformed', 'outOfWindow', 'unknownSession'])
          assert.equal(bmc.counters[fault], undefined, fault);
      }));
  }

  it('cycles a machine that is on, and shuts its OS down', () =>
    onFloor({ power: 'on' }, async ({ bmc, host, driver, target }) => {
      const one = driver.open(target());
      await one.cycle();
      await until(() => host.power() === 'off');
      await until(() => host.power() === 'on');
      await one.soft();
      await until(() => host.power() === 'off');
      assert.deepEqual(actions(bmc), ['cycle', 'soft']);
    }));

  it('sends no cycle and no soft off to a machine that is off', () =>
    onFloor({}, async ({ bmc, driver, target }) => {
      const one = driver.open(target());
      await failure('power.refused', one.cycle());
      await one.soft();
      assert.deepEqual(actions(bmc), []);
    }));

  it('reads the state while it waits for another command to take effect', () =>
    onFloor({ behaviours: { withoutEffect: Infinity } }, async ({ driver, target }) => {
      const one = driver.open(target());
      const turning = failure('power.unconfirmed', one.turn('on', milliseconds(300)));
      assert.equal(await one.state(), 'off');
      await turning;
    }));

  it('keeps one session per BMC for several users, one after the other', () =>
    onFloor({ traits: { maxSessions: 1 } }, async ({ bmc, driver, target }) => {
      const admin = driver.open(target());
      const operator = driver.open(target({ username: 'oper', password: new Secret('operpass') }));
      assert.equal(driver.open(target({ username: 'oper', password: new Secret('operpass') })), operator);
      assert.deepEqual(await Promise.all([admin.state(), operator.state(), admin.state()]), [
        'off',
        'off',
        'off',
      ]);
      assert.equal(bmc.counters['noSlot'], undefined);
    }));

  it('closes an idle session', () =>
    onFloor({ settings: { idleAfter: 20 } }, async ({ bmc, driver, target }) => {
      await driver.open(target()).state();
      assert.equal(bmc.sessionsUsed, 1);
      await until(() => bmc.sessionsUsed === 0);
      assert.equal(bmc.counters['command 6.60'], 1);
    }));

  it('keeps an idle session alive where it is told to', () =>
    onFloor({ settings: { idleAfter: 20, idle: 'keep-alive' } }, async ({ bmc, driver, target }) => {
      await driver.open(target()).state();
      await until(() => (bmc.counters['command 6.1'] ?? 0) >= 4);
      assert.equal(bmc.counters['session'], 1);
      assert.equal(bmc.sessionsUsed, 1);
    }));

  it('closes every session when it closes, and ends what is under way', async () => {
    const live = new LabBmc({ host: new StandaloneHost({ clock }) });
    const dead = new LabBmc({ host: new StandaloneHost({ clock }), behaviours: { dead: true } });
    const driver = newDriver({ answerTimeouts: [60_000] });
    const one = driver.open(targetAt((await live.listen()).port));
    await one.state();
    const waiting = failure('power.unreachable', driver.open(targetAt((await dead.listen()).port)).state());
    await until(() => dead.counters['received'] === 1);
    await driver.close();
    await waiting;
    assert.equal(live.sessionsUsed, 0);
    await failure('power.unreachable', one.state());
    await driver.close();
    await Promise.all([live.close(), dead.close()]);
  });

  it('talks to 200 BMCs at once over one socket', async () => {
    const bmcs = Array.from(
      { length: 200 },
      (_, index) =>
        new LabBmc({ host: new StandaloneHost({ clock, power: index % 3 === 0 ? 'on' : 'off' }) }),
    );
    const driver = newDriver({ answerTimeouts: [2_000, 2_000, 2_000] });
    try {
      const ports = await Promise.all(bmcs.map(async (bmc) => (await bmc.listen()).port));
      const states = await Promise.all(ports.map((port) => driver.open(targetAt(port)).state()));
      const expected = bmcs.map((_, index): PowerState => (index % 3 === 0 ? 'on' : 'off'));
      assert.deepEqual(states, expected);
    } finally {
      await driver.close();
      await Promise.all(bmcs.map((bmc) => bmc.close()));
    }
    assert.ok(bmcs.every((bmc) => bmc.sessionsUsed === 0));
  });

  it('has a plan for everything that it sends', async () => {
    const driver = newDriver();
    const target = targetAt(623);
    assert.equal(driver.planPower(target, 'off'), 'ipmi 127.0.0.1:623: chassis control off (hard)');
    assert.equal(driver.planPower(target, 'on'), 'ipmi 127.0.0.1:623: chassis control on');
    assert.match(driver.planPower(target, 'soft'), /soft off/);
    assert.match(driver.planPower(target, 'cycle'), /power cycle/);
    assert.equal(
      driver.planBootDevice(target, { device: 'pxe', persistent: false, firmware: 'efi' }),
      'ipmi 127.0.0.1:623: boot device pxe once efi (boot options 3: 08, 5: a0 04 00 00 00)',
    );
    await driver.close();
  });

  it('has the waits of its documentation by default, and takes them as text', () => {
    const settings = ipmiSettings.parse({ idleAfter: '25s' });
    assert.deepEqual(settings.answerTimeouts, [1_000, 2_000, 3_000]);
    assert.equal(settings.jitter, 0.2);
    assert.equal(settings.repeatAfter, 10_000);
    assert.equal(settings.idleAfter, 25_000);
    assert.throws(() => ipmiSettings.parse({ idleAfter: 'soon' }), /write a time/);
    assert.throws(() => ipmiSettings.parse({ idelAfter: 1 }), /idelAfter/);
  });
});

describe('IPMI driver: logging in', () => {
  it('prefers suite 17, and takes 3 from a BMC that refuses 17', async () => {
    await onFloor({}, async ({ driver, target }) =>
      assert.equal((await driver.open(target()).identity()).suite, 17),
    );
    for (const behaviours of [{}, { shortRefusals: true }, { downgrade: true }])
      await onFloor({ traits: { suites: [3] }, behaviours }, async ({ bmc, driver, target }) => {
        assert.equal((await driver.open(target()).identity()).suite, 3);
        assert.equal(bmc.sessionsUsed, 1);
      });
  });

  it('refuses suite 3 where 17 is the least, or was there before', () =>
    onFloor({ traits: { suites: [3] } }, async ({ bmc, driver, target }) => {
      const least = await failure('power.suite', driver.open(target({ minSuite: 17 })).state());
      assert.equal(least.retry, 'operator');
      const before = await failure('power.suite', driver.open(target({ knownSuite: 17 })).state());
      assert.match(before.message, /took before/);
      assert.equal(bmc.counters['session'], undefined);
      bmc.behave({ downgrade: true });
      await failure('power.suite', driver.open(target({ minSuite: 17 })).state());
      assert.equal(bmc.counters['session'], undefined);
    }));

  it('does not fall to suite 3 within its own life', () =>
    onFloor({}, async ({ bmc, driver, target }) => {
      const one = driver.open(target());
      assert.equal((await one.identity()).suite, 17);
      await one.close();
      bmc.remake({ suites: [3] });
      await failure('power.suite', one.state());
    }));

  it('tries a wrong password once, frees the slot, and tells nobody the password', () =>
    onFloor({}, async ({ bmc, driver, target }) => {
      const wrong = new Secret('wrong-password');
      const error = await failure('power.auth', driver.open(target({ password: wrong })).state());
      assert.equal(error.retry, 'operator');
      assert.equal(bmc.counters['rakp1'], 1);
      await until(() => bmc.counters['givenUp'] === 1);
      assert.equal(bmc.sessionsUsed, 0);
      const everything = error.message + JSON.stringify(error) + inspect(error, { depth: 9 });
      assert.ok(!everything.includes('wrong-password'));
    }));

  it('names an unknown user, and a user whose level is too low', () =>
    onFloor({}, async ({ bmc, driver, target }) => {
      const nobody = await failure('power.auth', driver.open(target({ username: 'nobody' })).state());
      assert.match(nobody.message, /"nobody".*unknown user name/);
      const reader = { username: 'ro', password: new Secret('ropass') };
      await failure('power.privilege', driver.open(target(reader)).state());
      const user = driver.open(target({ ...reader, privilege: 'user' }));
      assert.equal(await user.state(), 'off');
      await failure('power.privilege', user.turn('on', within));
      assert.deepEqual(actions(bmc), []);
    }));

  it('takes a password of 20 bytes and refuses one of 21, counted in bytes, before anything is sent', () =>
    onFloor(
      { traits: { users: [{ name: 'long', password: 'exactly-twenty-bytes', level: 4 }] } },
      async ({ bmc, driver, target }) => {
        const twenty = { username: 'long', password: new Secret('exactly-twenty-bytes') };
        assert.equal(await driver.open(target(twenty)).state(), 'off');
        const received = bmc.counters['received'];
        for (const text of ['twenty-one-bytes-long', 'ä'.repeat(11)])
          assert.throws(() => driver.open(target({ password: new Secret(text) })), {
            code: 'power.auth',
            retry: 'operator',
          });
        assert.throws(() => driver.open(target({ username: 'u'.repeat(17) })), { code: 'power.auth' });
        assert.equal(bmc.counters['received'], received);
      },
    ));

  it('uses the BMC key, and says so when it is missing or wrong', () =>
    onFloor({ traits: { kg: 'a key' } }, async ({ bmc, driver, target }) => {
      assert.equal(await driver.open(target({ kg: new Secret('a key') })).state(), 'off');
      assert.match((await failure('power.auth', driver.open(target()).state())).message, /wants a BMC key/);
      const wrong = driver.open(target({ kg: new Secret('another') }));
      assert.match((await failure('power.auth', wrong.state())).message, /another BMC key/);
      await until(() => bmc.sessionsUsed === 0);
    }));

  for (const [family, bound, host] of [
    ['udp4', '127.0.0.1', '127.0.0.1'],
    ['udp6', '::1', '0:0:0:0:0:0:0:1'],
  ] as const)
    it(`tells an IPMI 1.5 BMC from a silent one over ${family}`, async function () {
      const old = createSocket(family);
      old.on('message', (bytes, peer) => {
        // Get Channel Authentication Capabilities, answered with 1.5 data: MD5 and plain password, no 2.0.
        if (bytes[4] === 0)
          old.send(
            Buffer.from('0600ff0700000000000000000010811c632000380001140400000000008f', 'hex'),
            peer.port,
            peer.address,
          );
      });
      const listening = await new Promise<boolean>((resolve) => {
        old.once('error', () => resolve(false));
        old.bind(0, bound, () => resolve(true));
      });
      // A machine without IPv6 on its loopback has nothing to test here.
      if (!listening && family === 'udp6') return this.skip();
      const driver = newDriver({ answerTimeouts: [50] });
      const one = driver.open(targetAt(old.address().port, { host }));
      assert.match((await failure('power.suite', one.state())).message, /IPMI 1\.5 only/);
      await driver.close();
      old.close();
    });
});

describe('IPMI driver against faults', () => {
  it('says that a dead BMC is unreachable, what to check, and finds it again later', () =>
    onFloor(
      { behaviours: { dead: true }, settings: { answerTimeouts: [20, 20] } },
      async ({ bmc, driver, target }) => {
        const one = driver.open(target());
        const error = await failure('power.unreachable', one.state());
        assert.equal(error.retry, 'later');
        assert.match(error.message, /IPMI over LAN is enabled/);
        assert.equal(bmc.counters['received'], 3);
        bmc.heal();
        assert.equal(await one.state(), 'off');
      },
    ));

  it("ends at once with the signal's reason, also in the queue", () =>
    onFloor(
      { behaviours: { dead: true }, settings: { answerTimeouts: [60_000] } },
      async ({ bmc, driver, target }) => {
        const one = driver.open(target());
        const [first, second] = [new AbortController(), new AbortController()];
        const reason = new Error('the operation was cancelled');
        const running = assert.rejects(one.state(first.signal), reason);
        const queued = assert.rejects(one.turn('on', within, second.signal), reason);
        await until(() => bmc.counters['received'] === 1);
        second.abort(reason);
        await queued;
        first.abort(reason);
        await running;
        await assert.rejects(one.cycle(AbortSignal.abort(reason)), reason);
        assert.equal(bmc.counters['received'], 1);
      },
    ));

  it('gets through loss, duplicates, delay and stale answers without a mistake', () =>
    onFloor(
      {
        seed: 20,
        behaviours: { dropIn: 0.08, dropOut: 0.08, dupOut: 0.3, staleFirst: true, jitterMs: 3 },
        settings: { answerTimeouts: [60, 60, 60, 60, 60, 60, 60, 60] },
      },
      async ({ bmc, host, driver, target }) => {
        const one = driver.open(target());
        for (const wanted of ['on', 'off', 'on', 'off'] as const) {
          await one.turn(wanted, seconds(10));
          assert.equal(host.power(), wanted);
          for (let i = 0; i < 10; i += 1) assert.equal(await one.state(), wanted);
        }
        assert.ok((bmc.counters['answersDropped'] ?? 0) > 0);
        assert.equal(bmc.counters['malformed'], undefined);
        assert.equal(bmc.counters['outOfWindow'], undefined);
      },
    ));

  it('sends a lost "on" again, because that does no harm', () =>
    onFloor(
      { behaviours: { mute: ['0.2'] }, settings: { answerTimeouts: [30, 30] } },
      async ({ bmc, host, driver, target }) => {
        const evidence = await driver.open(target()).turn('on', within);
        assert.ok(evidence.verified);
        assert.equal(host.power(), 'on');
        assert.ok(actions(bmc).length > 1);
        assert.ok(actions(bmc).every((action) => action === 'on'));
      },
    ));

  for (const action of ['cycle', 'soft'] as const)
    it(`sends a ${action} whose answer is lost exactly once, and says that it does not know`, () =>
      onFloor(
        {
          power: 'on',
          behaviours: { mute: ['0.2'] },
          settings: { onceTimeout: 100, answerTimeouts: [20, 20] },
        },
        async ({ bmc, driver, target }) => {
          const one = driver.open(target());
          const error = await failure('power.outcome-unknown', one[action]());
          assert.equal(error.retry, 'operator');
          assert.deepEqual(actions(bmc), [action]);
          bmc.heal();
          await one.state();
          assert.deepEqual(actions(bmc), [action]);
        },
      ));

  it('does not repeat a cycle that the BMC reports as timed out, but one that it was too busy for', () =>
    onFloor({ power: 'on' }, async ({ bmc, driver, target }) => {
      const one = driver.open(target());
      bmc.behave({ completion: { '0.2': 0xc3 } });
      await failure('power.outcome-unknown', one.cycle());
      assert.equal(bmc.counters['command 0.2'], 1);
      bmc.heal();
      await one.state();
      bmc.behave({ busy: 2 });
      await one.cycle();
      assert.deepEqual(actions(bmc), ['cycle']);
    }));

  it('takes silence on an old session for a dropped session, and opens a new one once', () =>
    onFloor({ power: 'on', settings: { answerTimeouts: [50, 50] } }, async ({ bmc, driver, target }) => {
      const one = driver.open(target());
      await one.state();
      bmc.dropSessions();
      assert.equal(await one.state(), 'on');
      assert.equal(bmc.counters['session'], 2);
      bmc.dropSessions();
      await one.cycle();
      assert.deepEqual(actions(bmc), ['cycle']);
      assert.equal(bmc.counters['session'], 3);
    }));

  it('asks a busy BMC again, and gives up with "busy"', () =>
    onFloor({ behaviours: { busy: 3 } }, async ({ bmc, driver, target }) => {
      const one = driver.open(target());
      assert.equal(await one.state(), 'off');
      for (const code of [0xc0, 0xc3, 0xc4, 0xd2]) {
        bmc.behave({ completion: { '0.1': code } });
        const before = bmc.counters['command 0.1']!;
        assert.equal((await failure('power.busy', one.state())).retry, 'later');
        assert.equal(bmc.counters['command 0.1'], before + 6);
      }
    }));

  it('waits for a free session, and calls a full BMC busy, not down', () =>
    onFloor({ behaviours: { slotsFull: true } }, async ({ bmc, driver, target }) => {
      const one = driver.open(target());
      const error = await failure('power.busy', one.state());
      assert.match(error.message, /no free session/);
      assert.equal(bmc.counters['noSlot'], 4);
      const waiting = one.state();
      await until(() => bmc.counters['noSlot']! > 4);
      bmc.heal();
      assert.equal(await waiting, 'off');
    }));

  it('calls it unconfirmed when the BMC says yes and nothing happens, after one repetition', () =>
    onFloor({ behaviours: { withoutEffect: Infinity } }, async ({ bmc, driver, target }) => {
      const error = await failure('power.unconfirmed', driver.open(target()).turn('on', milliseconds(400)));
      assert.match(error.message, /sent twice.*not on after 400 ms/);
      assert.deepEqual(actions(bmc), ['on', 'on']);
    }));

  it('repeats a command that the BMC swallowed, and confirms', () =>
    onFloor({ power: 'on', behaviours: { withoutEffect: 1 } }, async ({ bmc, host, driver, target }) => {
      const evidence = await driver.open(target()).turn('off', within);
      assert.equal(evidence.data?.['commandsSent'], 2);
      assert.equal(host.power(), 'off');
      assert.deepEqual(actions(bmc), ['off', 'off']);
    }));

  it('takes "not in this state" for success when the state is the wanted one', async () => {
    let power: PowerState = 'on';
    const bmc = new LabBmc({
      host: { power: () => power, control: () => undefined },
      behaviours: { completion: { '0.2': 0xd5 } },
    });
    const driver = newDriver({ pollEvery: 30 });
    try {
      const one = driver.open(targetAt((await bmc.listen()).port));
      const turning = one.turn('off', within);
      await until(() => bmc.counters['command 0.2'] === 1);
      power = 'off';
      assert.ok((await turning).verified);
      power = 'on';
      const error = await failure('power.unconfirmed', one.turn('off', milliseconds(200)));
      assert.match(error.message, /D5h \(not possible in the present state\)/);
    } finally {
      await driver.close();
      await bmc.close();
    }
  });

  it('hands refusals on with what the BMC said', () =>
    onFloor({ behaviours: { completion: { '0.1': 0xc1 } } }, async ({ bmc, driver, target }) => {
      const one = driver.open(target());
      const refused = await failure('power.refused', one.state());
      assert.match(refused.message, /Get Chassis Status was refused; it said: completion code C1h/);
      assert.equal(bmc.counters['command 0.1'], 1);
      bmc.behave({ completion: { '0.1': 0xd4 } });
      await failure('power.privilege', one.state());
      assert.equal(bmc.counters['command 0.1'], 2);
    }));

  it('says when the name of a BMC has no address', async () => {
    const driver = newDriver();
    const one = driver.open(targetAt(623, { host: 'no..such' }));
    assert.match((await failure('power.unreachable', one.state())).message, /has no address/);
    await driver.close();
  });
});

describe('IPMI driver: boot device', () => {
  const bytes = {
    'pxe once legacy': '8004000000',
    'pxe once efi': 'a004000000',
    'pxe persistent legacy': 'c004000000',
    'pxe persistent efi': 'e004000000',
    'disk once legacy': '8008000000',
    'disk once efi': 'a008000000',
    'disk persistent legacy': 'c008000000',
    'disk persistent efi': 'e008000000',
  };

  it('sets every kind and reads it back', () =>
    onFloor({}, async ({ bmc, driver, target }) => {
      const one = driver.open(target());
      assert.equal(await one.bootDevice(), null);
      for (const device of ['pxe', 'disk'] as const)
        for (const persistent of [false, true])
          for (const firmware of ['legacy', 'efi'] as const) {
            const request = { device, persistent, firmware };
            const evidence = await one.setBootDevice(request);
            const name = `${device} ${persistent ? 'persistent' : 'once'} ${firmware}` as const;
            assert.equal(bmc.bootFlags.toString('hex'), bytes[name]);
            assert.ok(evidence.verified, evidence.summary);
            assert.deepEqual(await one.bootDevice(), request);
          }
    }));

  it('keeps the flags over the 60 seconds by parameter 3, and needs no parameter 3', async () => {
    for (const refuseBootParameter3 of [false, true])
      await onFloor(
        { behaviours: { refuseBootParameter3 }, traits: { bootFlagsTimeout: milliseconds(0) } },
        async ({ bmc, host, driver, target }) => {
          const one = driver.open(target());
          const request = { device: 'pxe', persistent: false, firmware: 'efi' } as const;
          const evidence = await one.setBootDevice(request);
          assert.equal(evidence.verified, !refuseBootParameter3);
          await one.turn('on', within);
          const expected = refuseBootParameter3
            ? { device: 'none', efi: false }
            : { device: 'pxe', efi: true };
          assert.deepEqual(host.boots, [expected]);
          assert.deepEqual(bmc.log[0]?.boot, expected);
        },
      );
    await onFloor({ behaviours: { refuseBootParameter3: true } }, async ({ driver, target }) => {
      const request = { device: 'disk', persistent: true, firmware: 'legacy' } as const;
      assert.ok((await driver.open(target()).setBootDevice(request)).verified);
    });
  });

  it('uses a one-time flag up, and a persistent one not', () =>
    onFloor({}, async ({ host, driver, target }) => {
      const one = driver.open(target());
      for (const persistent of [false, true]) {
        await one.setBootDevice({ device: 'pxe', persistent, firmware: 'legacy' });
        for (let i = 0; i < 2; i += 1) {
          await one.turn('on', within);
          await one.turn('off', within);
        }
      }
      assert.deepEqual(
        host.boots.map((boot) => boot.device),
        ['pxe', 'none', 'pxe', 'pxe'],
      );
    }));

  it('says "unverified" when the BMC shows something else or nothing', async () => {
    const request = { device: 'disk', persistent: true, firmware: 'efi' } as const;
    for (const [behaviours, shown] of [
      [{ losePersistent: true }, /shows disk once efi/],
      [{ loseEfi: true }, /shows disk persistent legacy/],
      [{ refuseBootReading: true }, /shows none/],
    ] as const)
      await onFloor({ behaviours }, async ({ driver, target }) => {
        const evidence = await driver.open(target()).setBootDevice(request);
        assert.equal(evidence.verified, false);
        assert.match(evidence.summary, shown);
      });
  });

  it("uses Supermicro's own number for the UEFI disk", () =>
    onFloor({ traits: { manufacturer: 10876 } }, async ({ bmc, driver, target }) => {
      const one = driver.open(target());
      const efi = { device: 'disk', persistent: true, firmware: 'efi' } as const;
      assert.ok((await one.setBootDevice(efi)).verified);
      assert.equal(bmc.bootFlags.toString('hex'), 'e024000000');
      assert.deepEqual(await one.bootDevice(), efi);
      await one.setBootDevice({ ...efi, firmware: 'legacy' });
      assert.equal(bmc.bootFlags.toString('hex'), 'c008000000');
    }));

  it('hands on that the BMC refuses the flags', () =>
    onFloor({ behaviours: { completion: { '0.8': 0xcc } } }, async ({ driver, target }) => {
      const one = driver.open(target());
      const request = { device: 'pxe', persistent: false, firmware: 'legacy' } as const;
      await failure('power.refused', one.setBootDevice(request));
    }));
});

describe('IPMI driver: quirks', () => {
  it('keeps idle sessions alive, but not those of a BMC that has few', async () => {
    const settings = { idle: 'keep-alive', idleAfter: 30 };
    await onFloor({ settings }, async ({ bmc, driver, target }) => {
      await driver.open(target()).state();
      await until(() => (bmc.counters['command 6.1'] ?? 0) >= 3);
      assert.equal(bmc.sessionsUsed, 1);
    });
    await onFloor({ settings, traits: { manufacturer: 5771 } }, async ({ bmc, driver, target }) => {
      const cisco = driver.open(target());
      await cisco.state();
      await until(() => bmc.sessionsUsed === 0);
      // The maker is known now: the next session is closed without a question.
      const asked = bmc.counters['command 6.1'];
      await cisco.state();
      await until(() => bmc.sessionsUsed === 0);
      assert.equal(bmc.counters['command 6.1'], asked);
    });
  });

  it('gives a session up that is not kept by the BMC, and needs no reading to find that out', () =>
    onFloor(
      { settings: { idle: 'keep-alive', idleAfter: 30, answerTimeouts: [60, 60] } },
      async ({ bmc, driver, target }) => {
        const one = driver.open(target());
        await one.state();
        bmc.dropSessions();
        await until(() => (bmc.counters['unknownSession'] ?? 0) >= 2);
        assert.equal(await one.state(), 'off');
        assert.equal(bmc.counters['session'], 2);
      },
    ));

  it('takes named quirks for every BMC: a pause between commands, another boot device number', async () => {
    await onFloor({ settings: { quirks: ['easily-overrun'] } }, async ({ driver, target }) => {
      const slow = driver.open(target());
      await slow.state();
      const began = performance.now();
      await slow.state();
      assert.ok(performance.now() - began >= 900);
    });
    await onFloor({ settings: { quirks: ['supermicro-uefi-disk'] } }, async ({ bmc, driver, target }) => {
      const disk = { device: 'disk', persistent: true, firmware: 'efi' } as const;
      assert.ok((await driver.open(target()).setBootDevice(disk)).verified);
      assert.equal(bmc.bootFlags.toString('hex'), 'e024000000');
      assert.match(driver.planBootDevice(target(), disk), /e0 24 00 00 00/);
    });
  });
});
