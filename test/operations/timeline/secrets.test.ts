import assert from 'node:assert/strict';
import fc from 'fast-check';
import { DeviceError, Secret, milliseconds, type Bmc, type PowerDriver } from '../../../plugin-api/index.ts';
import { loadConfig } from '../../../src/config/load-config.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { EventBus } from '../../../src/kernel/events/event-bus.ts';
import { createLog } from '../../../src/kernel/log/log.ts';
import { BootConversationService } from '../../../src/operations/boot/boot-conversations.ts';
import { PowerService } from '../../../src/operations/power/power-service.ts';
import { Timeline } from '../../../src/operations/timeline/timeline.ts';
import { by, UserWorld } from '../users/user-world.ts';
import { deployOrder } from '../boot/boot-samples.ts';

/** Everything that writes into timelines, with secrets in everything that it is given. */
describe('timelines hold no secret', () => {
  let world: UserWorld;
  before(async () => {
    world = await UserWorld.open();
  });
  after(() => world.close());

  const secret = fc.stringMatching(/^[A-Za-z0-9+/]{12,40}$/);
  let machines = 0;

  it('whatever is planted in user data, keys, passwords, boot orders and tokens', async () => {
    const { storage } = world.temp;
    await fc.assert(
      fc.asyncProperty(secret, secret, secret, secret, async (userData, sshKey, password, file) => {
        machines += 1;
        const { bmc, ...machine } = await world.add(machines);
        const { id, hostname, nics } = machine;
        const macs = nics.map(({ mac }) => mac);

        // A command that is refused, one that does nothing, and a plan.
        const start = {
          kind: 'start',
          machineId: id,
          requester: by('root', 'admin'),
          externalId: 'acme/i-1-VM',
          owner: 'acme',
          template: 'none',
          nics: [],
          hostname,
          sshKeys: [sshKey],
          userData,
        } as const;
        await world.operations.submit({ ...start, firstDeployment: false }).catch(() => undefined);
        await world.operations.plan({ ...start, firstDeployment: true }).catch(() => undefined);
        await world.operations.submit({
          kind: 'stop',
          machineId: id,
          requester: by('root', 'admin'),
          externalId: 'acme/i-1-VM',
          force: false,
        });

        // A BMC that refuses everything.
        const refuse = (): Promise<never> =>
          Promise.reject(new DeviceError({ code: 'power.auth', what: 'the BMC refuses our login' }));
        const bmcs: Pick<PowerDriver, 'type' | 'open' | 'close'> = {
          type: 'ipmi',
          open: () =>
            ({
              turn: refuse,
              soft: refuse,
              cycle: refuse,
              setBootDevice: refuse,
              clearEventLog: refuse,
              close: () => Promise.resolve(),
            }) as unknown as Bmc,
          close: () => Promise.resolve(),
        };
        const power = new PowerService({
          drivers: new Map([['ipmi', bmcs as PowerDriver]]),
          storage,
          clock: new SystemClock(),
          timings: loadConfig({ env: {} }).config.timings,
          log: createLog({ level: 'silent' }),
          events: new EventBus(),
          makeWay: milliseconds(1),
          timeline: world.timeline,
        });
        const withPassword = { ...machine, bmc: bmc && { ...bmc, password: new Secret(password) } };
        await power.turn(withPassword, 'off').catch(() => undefined);
        await power.soft(withPassword).catch(() => undefined);
        await power.setBootDevice(withPassword, 'pxe').catch(() => undefined);

        // A machine that says what it knows, its token first.
        const boots = new BootConversationService({
          storage,
          clock: new SystemClock(),
          log: createLog({ level: 'silent' }),
          newcomers: { site: 'lab', pool: 'default' },
        });
        const order = deployOrder({
          id: `op-${machines}:deploy`,
          machineId: id,
          macs,
          firstBootFiles: { 'user-data': file },
        });
        await boots.place({ ...order, work: { ...order.work, id: order.id, userData } });
        await storage.run((tx) => boots.arm(tx, order.id));
        const decision = await boots.decide({
          mac: macs[0]!,
          remote: '10.0.0.9',
          platform: 'pcbios',
        } as Parameters<typeof boots.decide>[0]);
        assert.ok(decision.kind === 'agent');
        const { token } = decision;
        await boots.order(token);
        await boots.report(token, { activity: `writing with ${token}`, percent: 10 });
        await boots.log(token, `${token} ${file}`);
        await boots.unreadableResult(token, 'it was none');

        await world.timeline.flush();
        const page = await new Timeline(storage).page({ scope: '*' }, { machine: id, limit: 500 });
        const text = JSON.stringify(page);
        for (const planted of [userData, sshKey, password, file, token]) assert.ok(!text.includes(planted));
        const kinds = new Set(page.entries.map(({ kind }) => kind));
        for (const kind of ['command', 'bmc', 'engine'] as const) assert.ok(kinds.has(kind), kind);
        assert.match(text, /writing with \*\*\*, 10 %/);
      }),
      { numRuns: 8 },
    );
  });
});
