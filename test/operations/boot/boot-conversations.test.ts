import assert from 'node:assert/strict';
import fc from 'fast-check';
import { minutes, parseMac, seconds, type Mac } from '../../../plugin-api/index.ts';
import { ManualClock } from '../../../src/kernel/clock/manual-clock.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { ServiceError, type ServiceCode } from '../../../src/kernel/errors/service-error.ts';
import {
  BootConversationService,
  type BootChange,
  type BootDecision,
} from '../../../src/operations/boot/boot-conversations.ts';
import { openStorage, type SqlStorage } from '../../../src/store/open-storage.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';
import {
  askerOf,
  commissionOrder,
  deployOrder,
  deployed,
  eraseOrder,
  erasedDisk,
  inventoried,
  mac1,
  mac2,
  machineId,
  machineOf,
  quiet,
  sha,
} from './boot-samples.ts';

const code = (wanted: ServiceCode) => (error: unknown) =>
  error instanceof ServiceError && error.code === wanted;
const gone = code('boot.refused');
const unknown = code('request.unauthenticated');

describe('boot conversations', () => {
  let temp: TempStorage;
  let storage: SqlStorage;
  let clock: ManualClock;
  let boots: BootConversationService;

  const service = (over: SqlStorage = storage): BootConversationService =>
    new BootConversationService({
      storage: over,
      clock,
      log: quiet,
      newcomers: { site: 'lab', pool: 'default' },
      newcomerLimit: 3,
    });

  beforeEach(async () => {
    temp = await tempStorage();
    storage = temp.storage;
    clock = new ManualClock();
    boots = service();
    await storage.run((tx) => tx.machines.insert(machineOf()));
  });

  afterEach(async () => {
    await storage.close();
    await temp.close();
  });

  const arm = (id: string): Promise<void> => storage.run((tx) => boots.arm(tx, id));
  const alarms = () => storage.run((tx) => tx.alarms.list(10));
  const ask = (mac: Mac = mac1, remote?: string): Promise<BootDecision> => boots.decide(askerOf(mac, remote));

  function tokenIn(decision: BootDecision): string {
    assert.equal(decision.kind, 'agent');
    return decision.token;
  }

  /** An order in the hands of its agent. */
  async function begun(order = deployOrder()): Promise<string> {
    await boots.place(order);
    await arm(order.id);
    const token = tokenIn(await ask());
    await boots.order(token);
    return token;
  }

  describe('decision', () => {
    it('gives the token to the first asker after arming, by any of the machine’s MACs', async () => {
      await boots.place(deployOrder());
      assert.equal((await ask()).kind, 'power-off');
      await arm('op-1:deploy');
      assert.match(tokenIn(await ask(mac2)), /^[A-Za-z0-9_-]{43}$/);
      assert.equal((await boots.progress('op-1:deploy'))?.state, 'waiting');
      assert.deepEqual(await alarms(), []);
    });

    it('contests the order at the second asker: token void, order failed, one alarm', async () => {
      const token = await begun();
      assert.equal((await ask(mac1, '10.0.0.66')).kind, 'power-off');
      assert.equal((await ask(mac1, '10.0.0.66')).kind, 'power-off');
      await assert.rejects(boots.order(token), gone);
      await assert.rejects(boots.result(token, deployed), gone);
      await assert.rejects(boots.imageOf(token), gone);
      const progress = await boots.progress('op-1:deploy');
      assert.equal(progress?.state, 'failed');
      assert.equal(progress.error?.code, 'deploy.second-asker');
      const raised = await alarms();
      assert.equal(raised.length, 1);
      assert.equal(raised[0]?.code, 'deploy.second-asker');
      assert.equal(raised[0].machineId, machineId);
      assert.match(raised[0].text, /10\.0\.0\.5.*10\.0\.0\.66/);
    });

    it('gives at most one token however many ask at once', async () => {
      await boots.place(deployOrder());
      await arm('op-1:deploy');
      const second = service();
      const answers = await Promise.all(
        Array.from({ length: 12 }, (_, i) => (i % 2 ? boots : second).decide(askerOf(i % 3 ? mac1 : mac2))),
      );
      assert.equal(answers.filter((a) => a.kind === 'agent').length, 1);
      assert.equal((await boots.progress('op-1:deploy'))?.state, 'failed');
      assert.equal((await alarms()).length, 1);
    });

    it('boots a deployed machine from its disk, and powers off one with nothing to do', async () => {
      assert.equal((await ask()).kind, 'power-off');
      await storage.run(async (tx) => {
        const machine = await tx.machines.find(machineId);
        await tx.machines.update({ ...machine!, state: 'deployed' });
      });
      assert.deepEqual(await ask(), { kind: 'local-disk', platform: 'pcbios' });
    });

    it('powers off a deployed machine whose erase waits for our power-on', async () => {
      await storage.run(async (tx) => {
        const machine = await tx.machines.find(machineId);
        await tx.machines.update({ ...machine!, state: 'deployed' });
      });
      await boots.place(eraseOrder());
      assert.equal((await ask()).kind, 'power-off');
    });

    it('records unknown machines once, as new ones without BMC, and only so many in an hour', async () => {
      const stranger = (n: number): Mac => parseMac(`52:54:00:ff:00:0${n}`);
      for (const n of [1, 1, 2, 3, 4, 5]) assert.equal((await ask(stranger(n))).kind, 'power-off');
      const found = await storage.run((tx) => tx.machines.list());
      assert.deepEqual(
        found.filter((m) => m.state === 'new').map((m) => [m.hostname, m.bmc, m.nics[0]?.mac]),
        [1, 2, 3].map((n) => [`seen-525400ff000${n}`, null, stranger(n)]),
      );
      await clock.advance(minutes(61));
      await ask(stranger(4));
      assert.ok(await storage.run((tx) => tx.machines.findByMac(stranger(4))));
    });

    it('records a machine once when it asks twice at the same moment', async () => {
      const stranger = parseMac('52:54:00:ff:00:09');
      await Promise.all([ask(stranger), ask(stranger)]);
      assert.equal((await storage.run((tx) => tx.machines.list())).length, 2);
    });
  });

  describe('token', () => {
    it('is not stored, only its SHA-256', async () => {
      const token = await begun();
      const record = await storage.run((tx) => tx.boots.find('op-1:deploy'));
      assert.match(record?.tokenHash ?? '', /^[0-9a-f]{64}$/);
      assert.ok(!JSON.stringify(record).includes(token));
    });

    it('is needed for everything', async () => {
      await begun();
      for (const token of ['', 'A'.repeat(43), 'not a token']) {
        await assert.rejects(boots.authenticate(token), unknown);
        await assert.rejects(boots.order(token), unknown);
        await assert.rejects(boots.report(token, { activity: 'x', percent: 1 }), unknown);
        await assert.rejects(boots.log(token, 'x'), unknown);
        await assert.rejects(boots.result(token, deployed), unknown);
        await assert.rejects(boots.unreadableResult(token, 'x'), unknown);
        await assert.rejects(boots.imageOf(token), unknown);
        await assert.rejects(boots.firstBootFile(token, 'user-data'), unknown);
      }
      assert.equal((await boots.progress('op-1:deploy'))?.state, 'running');
    });

    it('is void when the order is armed again, and the next asker gets a new one', async () => {
      const old = await begun();
      await arm('op-1:deploy');
      await assert.rejects(boots.order(old), unknown);
      const token = tokenIn(await ask());
      assert.notEqual(token, old);
      assert.equal((await boots.order(token))['phase'], 'deploy');
    });

    it('ends with the order', async () => {
      const token = await begun();
      await boots.withdraw('op-1:deploy');
      await assert.rejects(boots.order(token), gone);
      await assert.rejects(boots.result(token, deployed), gone);
      assert.equal(await boots.progress('op-1:deploy'), null);
      assert.equal((await ask()).kind, 'power-off');
    });
  });

  describe('agent', () => {
    it('takes its order, image and first-boot files', async () => {
      const token = await begun();
      assert.deepEqual(await boots.order(token), deployOrder().work);
      assert.equal(await boots.imageOf(token), 'tiny');
      assert.equal(await boots.firstBootFile(token, 'user-data'), '#cloud-config\n{}\n');
      for (const name of ['nope', '__proto__', 'constructor', '../user-data'])
        await assert.rejects(boots.firstBootFile(token, name), code('request.not-found'));
    });

    it('has no image in a commission', async () => {
      await assert.rejects(boots.imageOf(await begun(commissionOrder())), code('request.not-found'));
    });

    it('shows its progress with the time of the last sign of life', async () => {
      const token = await begun();
      await clock.advance(seconds(7));
      await boots.report(token, { activity: 'writing', percent: 42.5 });
      const { state, activity, percent, lastSeen } = (await boots.progress('op-1:deploy'))!;
      assert.deepEqual(
        { state, activity, percent },
        { state: 'running', activity: 'writing', percent: 42.5 },
      );
      assert.equal(lastSeen, clock.now());
    });

    it('ends a deployment, and the same result again is answered the same', async () => {
      const token = await begun();
      assert.deepEqual(await boots.result(token, deployed), { then: 'power-off' });
      assert.deepEqual(await boots.result(token, deployed), { then: 'power-off' });
      const progress = await boots.progress('op-1:deploy');
      assert.equal(progress?.state, 'done');
      assert.equal(progress.evidence?.verified, true);
      assert.match(progress.evidence.summary, /tiny written to vda \(S1\)/);
      const other = { ok: false, error: { code: 'write', said: 'x' } } as const;
      await assert.rejects(boots.result(token, other), gone);
      await assert.rejects(boots.order(token), gone);
      await assert.rejects(boots.firstBootFile(token, 'user-data'), gone);
    });

    it('keeps no first-boot data after the end', async () => {
      await boots.result(await begun(), deployed);
      const record = await storage.run((tx) => tx.boots.find('op-1:deploy'));
      assert.deepEqual(record?.order.firstBootFiles, {});
    });

    it('gives the inventory of a commission', async () => {
      const token = await begun(commissionOrder());
      await boots.result(token, inventoried);
      const progress = await boots.progress('op-1:commission');
      assert.equal(progress?.state, 'done');
      assert.deepEqual(progress.inventory, inventoried.ok && inventoried.inventory);
    });

    it('fails with the agent’s reason, and keeps the end of its log without the token', async () => {
      const token = await begun();
      await boots.log(token, `${'x'.repeat(100_000)}\nAuthorization: Bearer ${token}\nlast line`);
      await boots.result(token, { ok: false, error: { code: 'checksum', said: 'got ab want cd' } });
      const progress = await boots.progress('op-1:deploy');
      assert.equal(progress?.state, 'failed');
      assert.deepEqual(progress.error, { code: 'deploy.checksum', said: 'checksum: got ab want cd' });
      const log = progress.evidence?.data?.['log'] as string;
      assert.match(log, /Bearer \*\*\*\nlast line$/);
      assert.ok(!log.includes(token));
    });

    it('is answered the same when it repeats its failure', async () => {
      const token = await begun();
      const failure = { ok: false, error: { code: 'write', said: 'I/O error' } } as const;
      await boots.result(token, failure);
      assert.deepEqual(await boots.result(token, failure), { then: 'power-off' });
    });

    const lies = [
      [
        'another checksum',
        { ...(deployed.ok && deployed.deploy!), sha256: 'ef'.repeat(32) },
        'deploy.checksum',
      ],
      ['another disk', { ...(deployed.ok && deployed.deploy!), serial: 'S2' }, 'deploy.agent-failed'],
      ['another size', { ...(deployed.ok && deployed.deploy!), rawBytes: 9 }, 'deploy.agent-failed'],
    ] as const;
    for (const [what, report, expected] of lies) {
      it(`is not believed when it says ok with ${what}`, async () => {
        const deploy = { disk: 'vda', serial: 'S1', sha256: sha, rawBytes: 10, seconds: 2, ...report };
        await boots.result(await begun(), { ok: true, deploy });
        assert.equal((await boots.progress('op-1:deploy'))?.error?.code, expected);
      });
    }

    it('is not believed with an inventory of another machine', async () => {
      assert.ok(inventoried.ok && inventoried.inventory);
      const nics = inventoried.inventory.nics.map((nic) => ({ ...nic, mac: parseMac('52:54:00:bb:00:01') }));
      await boots.result(await begun(commissionOrder()), {
        ok: true,
        inventory: { ...inventoried.inventory, nics },
      });
      assert.equal((await boots.progress('op-1:commission'))?.error?.code, 'deploy.agent-failed');
    });

    it('has its erase judged by the report', async () => {
      await boots.result(await begun(eraseOrder()), { ok: true, erase: { disks: [erasedDisk] } });
      const done = await boots.progress('op-1:erase');
      assert.equal(done?.state, 'done');
      assert.equal(done.evidence?.verified, true);
    });

    it('fails an erase that is not proven, or lacks a disk', async () => {
      const token = await begun(eraseOrder());
      await boots.result(token, { ok: true, erase: { disks: [{ ...erasedDisk, dirtySamples: 1 }] } });
      assert.equal((await boots.progress('op-1:erase'))?.error?.code, 'deploy.erase-unproven');
      await boots.place(eraseOrder());
      await arm('op-1:erase');
      await boots.result(tokenIn(await ask()), { ok: true, erase: { disks: [] } });
      assert.equal((await boots.progress('op-1:erase'))?.error?.code, 'deploy.disk-missing');
    });

    it('fails an order whose result lacks what was asked for', async () => {
      await assert.rejects(boots.result(await begun(eraseOrder()), deployed), code('request.invalid'));
      assert.equal((await boots.progress('op-1:erase'))?.state, 'failed');
    });
  });

  describe('placing', () => {
    it('changes nothing when the same order is placed again', async () => {
      const token = await begun();
      await boots.place(deployOrder());
      assert.equal((await boots.order(token))['phase'], 'deploy');
      await boots.result(token, deployed);
      await boots.place(deployOrder());
      assert.equal((await boots.progress('op-1:deploy'))?.state, 'done');
    });

    it('begins anew, unarmed, with other work under the same id', async () => {
      const token = await begun();
      await boots.place(deployOrder({ image: 'other' }));
      await assert.rejects(boots.order(token), unknown);
      assert.equal((await ask()).kind, 'power-off');
    });

    it('begins anew after a failure or a contest', async () => {
      await begun();
      await ask();
      await assert.rejects(arm('op-1:deploy'), gone);
      await boots.place(deployOrder());
      await arm('op-1:deploy');
      assert.equal((await boots.order(tokenIn(await ask())))['phase'], 'deploy');
    });

    it('withdraws an older order of the same machine', async () => {
      const old = await begun(commissionOrder('op-0:commission'));
      await boots.place(deployOrder());
      await assert.rejects(boots.order(old), gone);
      await arm('op-1:deploy');
      assert.equal((await boots.order(tokenIn(await ask())))['phase'], 'deploy');
    });

    it('refuses a MAC that another machine’s open order has', async () => {
      await boots.place(deployOrder());
      const other = { ...deployOrder({ id: 'op-2:deploy', machineId: 'zzz999' }) };
      await assert.rejects(boots.place(other), code('machine.ambiguous'));
    });

    it('refuses to arm what is unknown or over', async () => {
      await assert.rejects(arm('op-none'), code('request.not-found'));
      await boots.result(await begun(), deployed);
      await assert.rejects(arm('op-1:deploy'), gone);
    });

    it('arms only if the operation’s unit of work commits', async () => {
      await boots.place(deployOrder());
      const crash = storage.run(async (tx) => {
        await boots.arm(tx, 'op-1:deploy');
        throw new Error('the power-on intent was not stored');
      });
      await assert.rejects(crash, /intent/);
      assert.equal((await ask()).kind, 'power-off');
    });

    it('knows nothing of an order that was never placed', async () => {
      assert.equal(await boots.progress('op-none'), null);
      await boots.withdraw('op-none');
    });
  });

  it('wakes the waiting after every change', async () => {
    const changes: BootChange[] = [];
    const stop = boots.onChange((change) => changes.push(change));
    const token = await begun();
    await boots.report(token, { activity: 'x', percent: null });
    await boots.result(token, deployed);
    stop();
    await boots.place(commissionOrder());
    assert.deepEqual(
      changes.map((change) => change.state),
      ['placed', 'asked', 'running', 'running', 'done'],
    );
    assert.ok(changes.every((change) => change.orderId === 'op-1:deploy'));
  });

  it('goes on in a new process between any two calls', async () => {
    const reopen = async (): Promise<void> => {
      await storage.close();
      storage = await openStorage({
        ...temp.database,
        key: temp.key,
        clock: new SystemClock(),
      });
      boots = service();
    };
    await boots.place(deployOrder());
    await reopen();
    await arm('op-1:deploy');
    await reopen();
    const token = tokenIn(await ask());
    await reopen();
    assert.equal((await boots.order(token))['phase'], 'deploy');
    await reopen();
    await boots.report(token, { activity: 'writing', percent: 50 });
    await reopen();
    assert.equal(await boots.firstBootFile(token, 'user-data'), '#cloud-config\n{}\n');
    await boots.result(token, deployed);
    await reopen();
    assert.deepEqual(await boots.result(token, deployed), { then: 'power-off' });
    assert.equal((await boots.progress('op-1:deploy'))?.state, 'done');
  });

  it('holds its promises under any sequence of calls', async function () {
    this.timeout(60_000);
    type Call = 'place' | 'arm' | 'ask' | 'order' | 'report' | 'done' | 'fail' | 'withdraw';
    const calls = fc.array(
      fc.constantFrom<Call>('place', 'arm', 'ask', 'order', 'report', 'done', 'fail', 'withdraw'),
      { maxLength: 25 },
    );
    let run = 0;
    await fc.assert(
      fc.asyncProperty(calls, async (sequence) => {
        const id = `op-${(run += 1)}:deploy`;
        const mac = parseMac(
          `52:54:01:00:${Buffer.from([run >> 8, run & 255]).toString('hex')}`.replace(/(..)$/, ':$1'),
        );
        const own = deployOrder({ id, macs: [mac], machineId: `r${run}` });
        let armed = 0;
        let tokens = 0;
        let token = '';
        const refused = (error: unknown): void => assert.ok(error instanceof ServiceError, String(error));
        for (const call of sequence) {
          if (call === 'place') await boots.place(own);
          if (call === 'arm') await arm(id).then(() => (armed += 1), refused);
          if (call === 'ask') {
            const decision = await ask(mac);
            if (decision.kind === 'agent') {
              tokens += 1;
              token = decision.token;
            }
          }
          if (call === 'order') await boots.order(token).catch(refused);
          if (call === 'report') await boots.report(token, { activity: 'x', percent: 1 }).catch(refused);
          if (call === 'done') await boots.result(token, deployed).catch(refused);
          if (call === 'fail')
            await boots.result(token, { ok: false, error: { code: 'agent', said: 'x' } }).catch(refused);
          if (call === 'withdraw') await boots.withdraw(id);
          assert.ok(tokens <= armed, 'a token that no power-on of ours stands behind');
          const progress = await boots.progress(id);
          if (progress?.state === 'done') assert.equal(progress.evidence?.verified, true);
          if (progress?.state === 'failed') assert.ok(progress.error);
        }
      }),
      { numRuns: 60 },
    );
  });
});
