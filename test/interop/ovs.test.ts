import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  switchConformance,
  type EffectivePortState,
  type SwitchFixture,
} from '../../plugin-api/conformance/switch.ts';
import {
  DeviceError,
  parseVlanId,
  plainPortId,
  portSatisfies,
  Secret,
  type DesiredPort,
  type DeviceCode,
  type PortId,
  type SwitchDriver,
  type SwitchIntent,
  type SwitchTarget,
} from '../../plugin-api/index.ts';
import { switchCommand } from '../../src/cli/direct/switch.ts';
import { createOvsDriver } from '../../src/drivers/switch/ovs/index.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { until } from '../support/until.ts';
import { requirePeer } from '../support/peers.ts';
import { OvsInstance, requireOvs, type Frames } from './ovs/ovs-instance.ts';

const bridge = 'sw0';
const shutBridge = 'csbm-shut';
const names = ['p1', 'p2', 'p3', 'p4'] as const;
const [p1, p2, p3, p4] = names.map(plainPortId) as [PortId, PortId, PortId, PortId];
const uplink = plainPortId('up0');
const vlan = parseVlanId;

function newDriver(settings: Readonly<Record<string, unknown>> = {}, log: string[] = []): SwitchDriver {
  const context = {
    clock: new SystemClock(),
    log: (level: string, message: string, fields?: Readonly<Record<string, unknown>>) =>
      log.push(JSON.stringify([level, message, fields])),
  };
  return createOvsDriver(context, settings);
}

function targetOf(ovs: OvsInstance, more: Partial<SwitchTarget> = {}): SwitchTarget {
  return {
    name: 'tor-a',
    type: 'OVS',
    host: ovs.socket,
    transport: 'unix',
    port: 0,
    username: '',
    password: new Secret(''),
    legacyCrypto: false,
    ...more,
  };
}

/** Read, plan, apply, read back. */
async function converge(
  driver: SwitchDriver,
  target: SwitchTarget,
  ports: Readonly<Record<string, DesiredPort>>,
  more: Partial<SwitchIntent> = {},
): Promise<void> {
  const wanted = new Map(Object.entries(ports).map(([name, desired]) => [plainPortId(name), desired]));
  const intent = { ports: wanted, uplinks: [], carried: [], retired: [], shutDuringMove: true, ...more };
  const session = await driver.open(target);
  try {
    const all = [...wanted.keys(), ...intent.uplinks];
    await session.apply(driver.plan(await session.read(all), intent));
    const after = await session.read(all);
    for (const [port, desired] of wanted) assert.ok(portSatisfies(after.ports.get(port)!, desired), port);
    assert.deepEqual(driver.plan(after, intent), []);
  } finally {
    await session.close();
  }
}

const up = (native: number | null, ...tagged: number[]): DesiredPort => ({
  native: native === null ? null : vlan(native),
  tagged: tagged.map(vlan),
  admin: 'up',
});
const shut: DesiredPort = { native: null, tagged: [], admin: 'down' };

function withCode(code: DeviceCode, text: RegExp = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof DeviceError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, text);
    return true;
  };
}

/** What each port does, as ovs-vsctl shows it, by the manual page of the database and without our code. */
async function oracle(ovs: OvsInstance): Promise<ReadonlyMap<PortId, EffectivePortState>> {
  const list = (value: unknown): number[] => (Array.isArray(value) ? (value as number[]) : [value as number]);
  const bridges = await ovs.list('Bridge');
  const main = bridges.find((row) => row['name'] === bridge)!;
  const states = (await ovs.list('Port'))
    .filter((row) => row['name'] !== bridge && row['name'] !== shutBridge)
    .map((row): [PortId, EffectivePortState] => {
      const tag = list(row['tag'])[0] ?? null;
      const trunks = list(row['trunks']);
      const mode = row['vlan_mode'];
      const access = mode === 'access' || (Array.isArray(mode) && tag !== null);
      const every = !access && trunks.length === 0;
      assert.ok(!every, `${String(row['name'])} carries every VLAN`);
      const tagged = access ? [] : trunks.filter((id) => id !== tag && id < 4095).sort((a, b) => a - b);
      const onMain = (main['ports'] as string[]).includes(row['_uuid'] as string);
      return [row['name'] as PortId, { native: tag, tagged, up: onMain }];
    });
  return new Map(states);
}

describe('interop: our OVS driver and Open vSwitch', function () {
  this.timeout(60_000);
  let ovs: OvsInstance;

  before(async function () {
    requireOvs(this);
    ovs = await OvsInstance.start({ remotes: ['ptcp:0:127.0.0.1'] });
  });
  after(() => (ovs as OvsInstance | undefined)?.stop());

  /** A bridge whose ports are in VLAN 10, or in none, and whose uplink carries VLAN 20. */
  async function fixture(
    tag: number | null,
    settings: Readonly<Record<string, unknown>>,
    target: Partial<SwitchTarget> = {},
  ): Promise<SwitchFixture> {
    await ovs.reset(bridge, [...names, uplink]);
    const columns = tag === null ? ['vlan_mode=trunk', 'trunks=4095'] : [`tag=${tag}`];
    await ovs.vsctl(
      ...names.flatMap((port) => ['--', 'set', 'port', port, ...columns]),
      ...['--', 'set', 'port', uplink, 'vlan_mode=trunk', 'trunks=20'],
    );
    return {
      driver: newDriver(settings),
      target: targetOf(ovs, target),
      ports: [p1, p2, p3, p4],
      uplinks: [uplink],
      missingPort: plainPortId('p77'),
      defaultVlan: settings['defaultVlan'] === undefined ? null : vlan(settings['defaultVlan'] as number),
      passwords: false,
      oracle: () => oracle(ovs),
      stop: async () => undefined,
    };
  }

  describe('with ports that are in a VLAN', () => {
    switchConformance({ describe, it }, () => fixture(10, {}));
  });
  describe('with ports that are in no VLAN', () => {
    switchConformance({ describe, it }, () => fixture(null, { bridge }));
  });
  describe('with a VLAN that counts as the default one', () => {
    switchConformance({ describe, it }, () => fixture(10, { defaultVlan: 10 }));
  });
  describe('with a default VLAN, and ports that are in no VLAN', () => {
    switchConformance({ describe, it }, () => fixture(null, { defaultVlan: 10 }));
  });
  describe('over TCP', () => {
    switchConformance({ describe, it }, () =>
      fixture(10, {}, { transport: 'tcp', host: '127.0.0.1', port: ovs.port }),
    );
  });

  describe('frames', () => {
    let frames: Frames;
    const driver = newDriver();
    const control = ['k1', 'k2'] as const;

    before(async () => {
      await ovs.reset(bridge, [...names, uplink, ...control]);
      await ovs.vsctl('set', 'port', uplink, 'vlan_mode=trunk', 'trunks=4095');
      await ovs.vsctl(...control.flatMap((port) => ['--', 'set', 'port', port, 'tag=4000']));
      frames = ovs.listen(control, [...names, uplink]);
    });
    after(() => (frames as Frames | undefined)?.stop());
    const becomes = (
      ports: Readonly<Record<string, DesiredPort>>,
      more: Partial<SwitchIntent> = {},
    ): Promise<void> => converge(driver, targetOf(ovs), ports, { uplinks: [uplink], ...more });

    it('reach every port of a bridge on which nothing was said about VLANs', async () => {
      assert.deepEqual(await frames.probe('p1', 77), { p2: [[77]], p3: [[77]], p4: [[77]] });
    });

    it('stay in the VLAN of the port, untagged', async () => {
      await becomes({ p1: up(100), p2: up(100), p3: up(200), p4: shut });
      assert.deepEqual(await frames.probe('p1'), { p2: [[]] });
      assert.deepEqual(await frames.probe('p3'), {});
      assert.deepEqual(await frames.probe('p1', 100), {}, 'an access port takes no tags');
      assert.deepEqual(await frames.probe('p1', 200), {}, 'nobody hops into another VLAN');
    });

    it('are tagged and untagged on one port, and carried on the uplink', async () => {
      const carried = [vlan(100), vlan(200)];
      await becomes({ p1: up(100), p2: up(100, 200), p3: up(200), p4: up(300, 200) }, { carried });
      assert.deepEqual(await frames.probe('p2'), { p1: [[]], up0: [[100]] });
      assert.deepEqual(await frames.probe('p2', 200), { p3: [[]], p4: [[200]], up0: [[200]] });
      assert.deepEqual(await frames.probe('p3'), { p2: [[200]], p4: [[200]], up0: [[200]] });
      assert.deepEqual(await frames.probe('p4'), {}, 'VLAN 300 is not carried');
      assert.deepEqual(await frames.probe('p4', 100), {});
      assert.deepEqual(await frames.probe('up0', 200), { p2: [[200]], p3: [[]], p4: [[200]] });
      assert.deepEqual(await frames.probe('up0'), {}, 'untagged frames of an uplink are in no VLAN');
    });

    it('follow a port that moves, at once', async () => {
      assert.deepEqual(await frames.probe('p1'), { p2: [[]], up0: [[100]] });
      await becomes({ p1: up(200) });
      assert.deepEqual(await frames.probe('p1'), { p2: [[200]], p3: [[]], p4: [[200]], up0: [[200]] });
      await becomes({ p2: up(100) });
      assert.deepEqual(await frames.probe('p1'), { p3: [[]], p4: [[200]], up0: [[200]] });
    });

    it('are neither sent nor received by a port that is shut, whatever its VLANs', async () => {
      await becomes({ p3: { ...up(200), admin: 'down' }, p4: { ...up(200), admin: 'down' } });
      assert.deepEqual(await frames.probe('p1'), { up0: [[200]] });
      assert.deepEqual(await frames.probe('p3'), {});
      assert.deepEqual(await frames.probe('p3', 200), {});
      assert.deepEqual(await frames.probe('p3', 4095), {}, 'nor between two that are shut');
      assert.deepEqual(await frames.probe('up0', 200), { p1: [[]] });
      await becomes({ p3: up(200), p4: shut });
      // A port that was opened may be flooded to a moment later: the daemon looks at its cached flows in a thread of its own.
      await until(async () => 'p3' in (await frames.probe('p1')), 'p3 to be flooded to');
      assert.deepEqual(await frames.probe('p1'), { p3: [[]], up0: [[200]] });
    });

    it('stay where they belong while the daemon and the database are restarted', async () => {
      await ovs.stopDaemon('SIGKILL');
      await ovs.stopDatabase('SIGKILL');
      await ovs.startDatabase();
      await ovs.startDaemon();
      assert.deepEqual(await frames.probe('p1'), { p3: [[]], up0: [[200]] });
      assert.deepEqual(await frames.probe('p4'), {});
      await becomes({ p1: up(200), p3: up(200), p4: shut });
    });

    it('leave the uplink when nobody needs the VLAN any more', async () => {
      await becomes({ p1: shut, p2: shut, p3: shut }, { retired: [vlan(100), vlan(200)] });
      for (const id of [100, 200, 300]) assert.deepEqual(await frames.probe('up0', id), {});
      assert.deepEqual((await oracle(ovs)).get(uplink), { native: null, tagged: [], up: true });
    });
  });

  describe('the database', () => {
    const driver = newDriver({ commandTimeout: '5s', applyTimeout: '5s' });
    beforeEach(async () => {
      await ovs.reset(bridge, [...names, uplink]);
      await ovs.vsctl('set', 'port', uplink, 'vlan_mode=trunk', 'trunks=20');
    });

    it('shows to ovs-vsctl what was set', async () => {
      await converge(driver, targetOf(ovs), { p1: up(100, 200), p2: up(100), p3: shut });
      assert.equal(await ovs.vsctl('get', 'port', 'p1', 'vlan_mode', 'tag', 'trunks'), 'native-untagged\n100\n[100, 200]'); // prettier-ignore
      assert.equal(await ovs.vsctl('get', 'port', 'p2', 'vlan_mode', 'tag', 'trunks'), 'access\n100\n[]');
      assert.equal(await ovs.vsctl('port-to-br', 'p3'), shutBridge);
      assert.equal(await ovs.vsctl('get-fail-mode', shutBridge), 'secure');
      const marks = await ovs.vsctl('get', 'bridge', bridge, 'external_ids');
      assert.equal(marks, '{csbm-vlan-100=csbm-100, csbm-vlan-200=csbm-200}');
    });

    it('says in its log what a batch did, as the plan said', async () => {
      const session = await driver.open(targetOf(ovs));
      const intent = { ports: new Map([[p1, up(100, 200)], [p2, shut]]), uplinks: [uplink], carried: [vlan(100)], retired: [], shutDuringMove: true }; // prettier-ignore
      const steps = driver.plan(await session.read([p1, p2, uplink]), intent);
      await session.apply(steps);
      await session.close();
      const log = execFileSync('ovsdb-tool', ['-m', 'show-log', join(ovs.folder, 'conf.db')], {
        encoding: 'utf8',
      });
      assert.ok(log.includes(`"csbm: ${driver.render(steps).join('; ')}"`), log.slice(-2_000));
      assert.deepEqual(driver.render(steps), [
        'bridge: external_ids:csbm-vlan-100=csbm-100',
        'bridge: external_ids:csbm-vlan-200=csbm-200',
        'port p2: to bridge csbm-shut',
        'port p1: trunks = none, instead of all VLANs',
        'port p1: tag = 100',
        'port up0: trunks + 100',
        'port p1: trunks + 200',
      ]);
    });

    it('refuses a batch when somebody changed a port after it was read, and writes none of it', async () => {
      for (const [what, ...foreign] of [
        ['its VLAN', 'set', 'port', 'p2', 'tag=55'],
        ['its bridge', 'del-port', 'p2', '--', 'add-br', 'other', '--', 'add-port', 'other', 'p2'],
      ] as const) {
        await ovs.reset(bridge, [...names, uplink]);
        const session = await newDriver({ bridge }).open(targetOf(ovs));
        const intent = { ports: new Map([[p1, up(100)], [p2, up(100)]]), uplinks: [], carried: [], retired: [], shutDuringMove: true }; // prettier-ignore
        const steps = driver.plan(await session.read([p1, p2]), intent);
        await ovs.vsctl(...foreign);
        await assert.rejects(session.apply(steps), withCode('switch.not-verified', /somebody/), what);
        await session.close();
        assert.equal(await ovs.vsctl('get', 'port', 'p1', 'tag'), '[]', what);
      }
    });

    it('leaves alone what somebody else said about ports, VLANs and bridges', async () => {
      await ovs.vsctl(
        ...['set', 'port', 'p4', 'tag=100', 'external_ids:owner=me', '--'],
        ...[
          'set',
          'bridge',
          bridge,
          'external_ids:owner=me',
          '--',
          'set',
          'port',
          'p1',
          'external_ids:owner=me',
        ],
      );
      await converge(driver, targetOf(ovs), { p1: up(100) });
      await converge(driver, targetOf(ovs), { p1: shut }, { retired: [vlan(100)], uplinks: [uplink] });
      assert.equal(await ovs.vsctl('get', 'port', 'p4', 'tag', 'external_ids'), '100\n{owner=me}');
      assert.equal(await ovs.vsctl('get', 'bridge', bridge, 'external_ids'), '{owner=me}');
      assert.equal(await ovs.vsctl('get', 'port', 'p1', 'external_ids'), '{owner=me}');
    });

    it('does not count as done until ovs-vswitchd has taken it', async () => {
      const taken = withCode('switch.timeout', /ovs-vswitchd has not taken/);
      const impatient = newDriver({ applyTimeout: '300ms' });
      const session = await impatient.open(targetOf(ovs));
      const intent = { ports: new Map([[p1, up(100)]]), uplinks: [], carried: [], retired: [], shutDuringMove: true }; // prettier-ignore
      const steps = impatient.plan(await session.read([p1]), intent);
      await ovs.stopDaemon();
      try {
        await assert.rejects(session.apply(steps), taken);
        await session.close();
        // What is in the database now is a wish: reading it is refused too.
        await assert.rejects(impatient.open(targetOf(ovs)), taken);
      } finally {
        await ovs.startDaemon();
      }
      await converge(driver, targetOf(ovs), { p1: up(100) });
    });

    it('tells the session that it ended', async () => {
      const session = await driver.open(targetOf(ovs));
      await ovs.stopDatabase();
      try {
        await assert.rejects(session.read([p1]), withCode('switch.session-lost'));
        await session.close();
        await assert.rejects(driver.open(targetOf(ovs)), withCode('switch.unreachable', /ovsdb-server/));
      } finally {
        await ovs.startDatabase();
      }
    });
  });

  describe('csbm switch', () => {
    it('reads, plans and sets a port', async () => {
      await ovs.reset(bridge, [...names, uplink]);
      await ovs.vsctl('set', 'port', uplink, 'vlan_mode=trunk', 'trunks=20');
      const rack = join(ovs.folder, 'rack.json');
      const l2Switch = {
        ip: ovs.socket,
        name: 'tor-a',
        username: '',
        password: '',
        type: 'OVS',
        uplinks: [uplink],
      };
      const hosts = [{ mac: '02:00:00:00:00:01', port: 'p1' }];
      writeFileSync(rack, JSON.stringify({ racks: [{ l2Switch, hosts }] }));
      const csbm = async (...args: string[]): Promise<string> => {
        const command = switchCommand();
        let out = '';
        for (const each of [command, ...command.commands]) {
          each.exitOverride();
          each.configureOutput({
            writeOut: (text) => void (out += text),
            writeErr: (text) => void (out += text),
          });
        }
        await command.parseAsync([...args, '--rack', rack], { from: 'user' });
        return out;
      };
      assert.match(await csbm('read'), /^tor-a: default VLAN none, host key none\n {2}p1: .*not prepared.*\n {2}up0 \(uplink\): native none, tagged 20, up\n$/); // prettier-ignore
      const wish = ['--port', 'p1', '--native', '100', '--tagged', '200', '--admin', 'up'];
      assert.match(await csbm('plan', ...wish), /lines:\n.*\n.*\n.*\n {4}port p1: tag = 100\n/);
      assert.equal(await ovs.vsctl('get', 'port', 'p1', 'tag'), '[]');
      assert.match(await csbm('set', ...wish), /now: {5}native 100, tagged 200, up \(read back, saved\)/);
      assert.equal(await ovs.vsctl('get', 'port', uplink, 'trunks'), '[20, 100, 200]');
      assert.match(await csbm('set', ...wish), /nothing to do/);
      assert.match(
        await csbm('set', '--port', 'p1', '--native', 'none', '--tagged', ''),
        /now: {5}native none, tagged none, down/,
      );
    });
  });

  describe('ports that carry every VLAN', () => {
    beforeEach(() => ovs.reset(bridge, [...names, uplink]));

    it('are named in the log', async () => {
      const log: string[] = [];
      await (await newDriver({}, log).open(targetOf(ovs))).close();
      const named = log.map((line) => (JSON.parse(line) as [string, string, { port: string }])[2].port);
      assert.deepEqual(named.sort(), [...names, uplink].sort());
    });

    it('are refused as uplinks, which would lose the others', async () => {
      await assert.rejects(
        converge(newDriver(), targetOf(ovs), { p1: up(100) }, { uplinks: [uplink], carried: [vlan(100)] }),
        withCode('switch.unprepared', /ovs-vsctl set port up0/),
      );
    });

    it('are taken as ports where that is allowed', async () => {
      await assert.rejects(
        converge(newDriver({ preparePorts: false }), targetOf(ovs), { p1: up(100) }),
        withCode('switch.unprepared'),
      );
      await converge(newDriver(), targetOf(ovs), { p1: up(100) });
    });

    it('carry none once they were shut', async () => {
      await converge(newDriver(), targetOf(ovs), { p1: shut });
      assert.equal(await ovs.vsctl('get', 'port', 'p1', 'trunks'), '[4095]');
    });

    it('are never asked for: up and in no VLAN is refused', async () => {
      await assert.rejects(
        converge(newDriver(), targetOf(ovs), { p1: up(null) }),
        withCode('switch.vlan-guarded', /all VLANs/),
      );
      await assert.rejects(
        converge(newDriver(), targetOf(ovs), { p1: { native: 'default', tagged: [], admin: 'up' } }),
        withCode('switch.vlan-guarded', /default VLAN/),
      );
    });
  });

  describe('what is not ours to change', () => {
    beforeEach(() => ovs.reset(bridge, [...names, uplink]));
    const guarded = (text: RegExp) => withCode('switch.port-guarded', text);
    const becomes = (port: string): Promise<void> =>
      converge(newDriver(), targetOf(ovs), { [port]: up(100) });

    it('is the bridge itself, an internal port, and a mode that we do not speak', async () => {
      await assert.rejects(becomes(bridge), guarded(/bridge itself/));
      await ovs.vsctl('add-port', bridge, 'int0', '--', 'set', 'interface', 'int0', 'type=internal');
      await assert.rejects(becomes('int0'), guarded(/internal port/));
      await ovs.vsctl('set', 'port', 'p1', 'vlan_mode=native-tagged', 'tag=5', 'trunks=5');
      await assert.rejects(becomes('p1'), guarded(/native-tagged/));
      await ovs.vsctl('set', 'port', 'p2', 'vlan_mode=native-untagged', 'tag=100');
      await assert.rejects(becomes('p2'), guarded(/every VLAN/));
      await ovs.vsctl('set', 'port', 'p3', 'vlan_mode=trunk', 'trunks=0,5');
      await assert.rejects(becomes('p3'), guarded(/outside of any VLAN/));
    });

    it('is a port of another bridge', async () => {
      await ovs.vsctl('del-port', 'p1', '--', 'add-br', 'other', '--', 'add-port', 'other', 'p1');
      const one = newDriver({ bridge });
      await assert.rejects(converge(one, targetOf(ovs), { p1: up(100) }), withCode('switch.port-unknown'));
      await assert.rejects(becomes('p2'), withCode('switch.protocol', /several bridges \((sw0|other), /));
      await assert.rejects(
        newDriver({ bridge: 'sw9' }).open(targetOf(ovs)),
        withCode('switch.protocol', /no bridge "sw9"/),
      );
    });

    it('is a bridge that OpenFlow rules drive, and a shut bridge that forwards', async () => {
      await ovs.vsctl('set-fail-mode', bridge, 'secure');
      await assert.rejects(becomes('p1'), withCode('switch.protocol', /OpenFlow/));
      await ovs.vsctl('del-fail-mode', bridge);
      await converge(newDriver(), targetOf(ovs), { p1: shut });
      await ovs.vsctl('del-fail-mode', shutBridge);
      await assert.rejects(becomes('p1'), withCode('switch.protocol', /not shut/));
    });
  });
});

describe('interop: our OVS driver and Open vSwitch over TLS', function () {
  this.timeout(60_000);
  let ovs: OvsInstance;
  let target: SwitchTarget;
  const file = (name: string): string => join(ovs.folder, name);

  before(async function () {
    requireOvs(this);
    requirePeer(this, 'openssl');
    ovs = await OvsInstance.start();
    for (const name of ['server', 'client', 'other']) {
      execFileSync(
        'openssl',
        ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/CN=${name}`].concat([
          '-keyout',
          file(`${name}.key`),
          '-out',
          file(`${name}.pem`),
        ]),
        { stdio: 'ignore' },
      );
    }
    await ovs.stopDatabase();
    await ovs.startDatabase([
      ...['--remote=pssl:0:127.0.0.1', `--private-key=${file('server.key')}`],
      ...[`--certificate=${file('server.pem')}`, `--ca-cert=${file('client.pem')}`],
    ]);
    await ovs.reset(bridge, names);
    target = targetOf(ovs, { transport: 'ssl', host: '127.0.0.1', port: ovs.port });
  });
  after(() => (ovs as OvsInstance | undefined)?.stop());

  const identity = (name = 'client'): Record<string, string> => ({
    certificateFile: file(`${name}.pem`),
    privateKeyFile: file(`${name}.key`),
  });

  it('works with a certificate on both sides, and shows the one to pin', async () => {
    const driver = newDriver(identity());
    await converge(driver, target, { p1: up(100) });
    const session = await driver.open(target);
    const seen = session.hostKey!;
    await session.close();
    const print = execFileSync('openssl', [
      'x509',
      '-in',
      file('server.pem'),
      '-noout',
      '-fingerprint',
      '-sha256',
    ]);
    assert.ok(print.toString().toLowerCase().replaceAll(':', '').includes(seen));
    const base64 = Buffer.from(seen, 'hex').toString('base64').replace(/=+$/, '');
    for (const hostKeyPin of [seen, `SHA256:${base64}`])
      await (await driver.open({ ...target, hostKeyPin })).close();
    const other = { ...target, hostKeyPin: '0'.repeat(64) };
    await assert.rejects(driver.open(other), withCode('switch.host-key', /SHA256:/));
  });

  it('takes the word of a certificate authority, and then has nothing to pin', async () => {
    const session = await newDriver({ ...identity(), caFile: file('server.pem') }).open(target);
    assert.equal(session.hostKey, null);
    await session.close();
    await assert.rejects(
      newDriver({ ...identity(), caFile: file('other.pem') }).open(target),
      withCode('switch.host-key', /certificate authority/),
    );
  });

  it('is refused without a certificate, and with a wrong one', async () => {
    for (const settings of [{}, identity('other')])
      await assert.rejects(newDriver(settings).open(target), withCode('switch.auth', /alert/));
  });

  it('names the setting where a file is missing, or does not fit', async () => {
    await assert.rejects(
      newDriver({ ...identity(), caFile: file('nothing.pem') }).open(target),
      withCode('switch.transport', /switch\.settings/),
    );
    const mixed = { ...identity(), privateKeyFile: file('other.key') };
    await assert.rejects(newDriver(mixed).open(target), withCode('switch.transport', /key/));
  });
});
