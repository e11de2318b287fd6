import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { Stage } from '../../lab/demo/stage.ts';
import type { FloorMachine } from '../../lab/floor/index.ts';
import { makeLabImage } from '../../lab/machine/index.ts';
import {
  destroyCommand,
  plugNicCommand,
  rebootCommand,
  startCommand,
  stopCommand,
  unPlugNicCommand,
  type LabCommand,
  type LabInstance,
  type LabNic,
} from '../../lab/management-server/commands.ts';
import type { LabAnswer } from '../../lab/management-server/agent-connection.ts';
import type { Behaviour, LabSwitch } from '../../lab/switch/index.ts';
import { launchLocally } from '../support/local-service.ts';
import { until } from '../support/until.ts';

type Json = Readonly<Record<string, unknown>>;
type Change = (instance: LabInstance) => Partial<LabInstance>;

/** What comes of commands and devices that are wrong: a clear error, nothing lost; judged by the floor. */
describe('bad input, over a simulated floor', function () {
  this.timeout(120_000);
  let stage: Stage;
  let directory: string;
  let host: bigint;
  let server: FloorMachine;
  let second: LabSwitch;
  let round = 0;
  let instance: LabInstance;
  let connects: number;

  before(async () => {
    directory = mkdtempSync(path.join(tmpdir(), 'csbm-bad-input-'));
    stage = await Stage.start({
      directory,
      speed: 40,
      imageBytes: 2 ** 20,
      eraseGrade: 'full',
      launch: launchLocally,
      floor: {
        networks: [
          { name: 'red-1', tenant: 'red', vlan: 200, prefix: '10.1.200' },
          { name: 'red-2', tenant: 'red', vlan: 201, prefix: '10.1.201' },
        ],
      },
      // Long enough for what should happen, short enough to wait for what should not.
      timings: {
        bootSeen: '80s',
        deployStalled: '160s',
        softOff: '20s',
        powerOff: '40s',
        powerOn: '40s',
        undoBudget: '2m',
        switchBatch: '320s',
      },
    });
    // Silence is noticed sooner than elsewhere: a BMC within the time of a power change, a switch within that of a batch.
    const config = readFileSync(stage.configFile, 'utf8').replace('[300, 600, 900]', '[150, 250, 350]');
    const ofSwitches = 'switch: { settings: { Force10: { commandTimeout: 1s, connectTimeout: 4s } } }';
    writeFileSync(stage.configFile, `${config}${ofSwitches}\n`);
    await stage.serve();
    await stage.furnish();
    host = await stage.host('server-1');
    server = stage.floor.find('server-1');
    second = stage.floor.switches[1]!;
  });

  after(async () => {
    await stage.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  beforeEach(() => {
    round += 1;
    instance = stage.instance(`i-6-${round}-VM`);
    connects = linksSoFar();
    stage.floor.oracle.violations.length = 0;
  });

  afterEach(async () => {
    heal();
    assert.deepEqual(stage.floor.oracle.violations, []);
    assert.deepEqual(stage.cloud.anomalies, []);
    assert.equal(linksSoFar(), connects, 'the link was never lost');
    // Nothing is lost: the next good command on the same link is carried out.
    await good(stopCommand({ name: 'i-6-0-VM' }));
  });

  function heal(): void {
    for (const device of stage.floor.switches) device.behaviours.clear();
    server.machine.behaviours.clear();
    server.bmc.heal();
  }

  const linksSoFar = (): number => stage.cloud.hosts().find(({ hostId }) => hostId === host)!.connects;
  const row = () => stage.floor.table()[0]!;
  const floor = (): unknown => [stage.floor.table(), server.bmc.log.length];
  const ports = () => row().ports.map((port) => [port.native, port.tagged, port.up]);
  const running = () => until(() => row().leases.length > 0, 'the lease');
  const on = (native: number, tagged: readonly number[] = []) => [
    [native, tagged, true],
    [native, tagged, true],
  ];
  const machine = async (): Promise<Json> =>
    (await stage.admin.call('GET', '/machines/server-1'))['machine'] as Json;

  async function send(command: LabCommand): Promise<LabAnswer> {
    const [answer] = await stage.cloud.send(host, [command], { timeout: 60_000 });
    return answer!;
  }

  async function good(command: LabCommand): Promise<void> {
    const answer = await send(command);
    assert.equal(answer.result, true, answer.details ?? '');
  }

  /** Sends what must be refused, in the class that the server casts to, with everything that a person needs. */
  async function refused(command: LabCommand, details: RegExp): Promise<LabAnswer> {
    const answer = await send(command);
    assert.deepEqual(
      [answer.className, answer.result],
      [command.className.replace(/Command$/, 'Answer'), false],
      answer.details ?? '',
    );
    const text = answer.details ?? '';
    assert.match(text, details);
    // Every text ends with its code, by which documentation and scripts know it.
    assert.match(text, /\[[a-z]+\.[a-z-]+\]$/);
    assert.ok(!text.includes(stage.floor.password), 'the password is in the answer');
    assert.ok(!/undefined|\[object|at .*\.ts/.test(text), text);
    return answer;
  }

  async function assertFree(): Promise<void> {
    const { state, claim, quarantine, operation } = await machine();
    assert.deepEqual([state, claim, quarantine, operation], ['ready', null, null, null]);
    assert.equal(row().power, 'off');
    assert.deepEqual(ports(), on(100));
    for (const disk of row().disks) assert.deepEqual([disk.image, disk.residue], [null, null]);
  }

  const stopRetry = ({ fields }: LabAnswer): unknown =>
    (fields['contextMap'] as Json | undefined)?.['stopRetry'];

  describe('a StartCommand that cannot be served touches nothing:', () => {
    const nic =
      (change: Partial<LabNic>): Change =>
      ({ nics = [] }) => ({ nics: [{ ...nics[0]!, ...change }] });
    const uri = (broadcastUri: string): Change => nic({ broadcastUri });
    const two =
      (a: Partial<LabNic>, b: Partial<LabNic>): Change =>
      ({ nics = [] }) => ({
        nics: [
          { ...nics[0]!, ...a },
          {
            ...nics[0]!,
            mac: '06:00:ac:10:00:fe',
            deviceId: 1,
            broadcastUri: 'vlan://201',
            defaultNic: false,
            ...b,
          },
        ],
      });
    const cases: readonly (readonly [name: string, change: Change, details: RegExp])[] = [
      ['VLAN 0', uri('vlan://0'), /"vlan:\/\/0" is not a VLAN.*network\.vlan-uri/],
      ['VLAN 4095', uri('vlan://4095'), /4095.*network\.vlan-uri/],
      ['VLAN 70000', uri('vlan://70000'), /70000.*network\.vlan-uri/],
      ['VLAN -1', uri('vlan://-1'), /network\.vlan-uri/],
      ['VLAN 0200', uri('vlan://0200'), /network\.vlan-uri/],
      ['VLAN 200.5', uri('vlan://200.5'), /network\.vlan-uri/],
      ['a URI of a thousand VLANs', uri(`vlan://${'2'.repeat(100_000)}`), /^.{0,600}network\.vlan-uri/s],
      ['a line break in the URI', uri('vlan://200\nconfigure'), /network\.vlan-uri/],
      ['vlan://untagged', uri('vlan://untagged'), /"vlan:\/\/untagged".*network\.vlan-uri/],
      ['vxlan://5000', uri('vxlan://5000'), /"vxlan:\/\/5000".*network\.vlan-uri/],
      ['lswitch:', uri('lswitch:0c8a'), /lswitch.*network\.vlan-uri/],
      [
        'no broadcast URI',
        ({ nics = [] }) => ({ nics: [withoutUri(nics[0]!)] }),
        /\(none\).*network\.vlan-uri/,
      ],
      ['a bad URI on the second NIC', two({}, { broadcastUri: 'vlan://4095' }), /4095.*network\.vlan-uri/],
      ['two NICs in one VLAN', two({}, { broadcastUri: 'vlan://200' }), /VLAN 200.*network\.vlan-uri/],
      [
        'the provisioning VLAN',
        uri('vlan://100'),
        /^tor-1: VLAN 100 is the provisioning VLAN.*network\.reserved-vlan/,
      ],
      ['the default VLAN', uri('vlan://1'), /^tor-1: VLAN 1 is the default VLAN.*network\.reserved-vlan/],
      [
        'two default NICs',
        two({}, { defaultNic: true }),
        /2 of the instance's 2 NICs.*network\.no-default-nic/,
      ],
      ['no default NIC', nic({ defaultNic: false }), /0 of the instance's 1 NIC.*network\.no-default-nic/],
      ['no NICs', () => ({ nics: [] }), /0 of the instance's 0 NICs.*network\.no-default-nic/],
      ['one MAC twice', two({ mac: '06:00:ac:10:00:fe' }, {}), /06:00:ac:10:00:fe.*request\.invalid/],
      ['a group MAC', nic({ mac: '01:00:5e:00:00:01' }), /01:00:5e:00:00:01.*group.*value\.mac/],
      ['a MAC of zeros', nic({ mac: '00:00:00:00:00:00' }), /all zeros.*value\.mac/],
      ['a MAC that is none', nic({ mac: 'nonsense' }), /"nonsense".*value\.mac/],
      [
        'an unknown template',
        () => ({ template: 'http://templates.example/nobody' }),
        /nobody.*image\.no-match/,
      ],
      ['an empty template', () => ({ template: '' }), /image\.no-match/],
      ['a template of another spelling', () => ({ template: 'LAB-LINUX' }), /lab-linux.*image\.no-match/],
      ['an instance without a name', () => ({ name: '' }), /does not name its instance.*request\.invalid/],
      ['an instance that ran before, somewhere else', () => ({ doPxe: false }), /claim\.unknown-instance/],
    ];
    for (const [name, change, details] of cases)
      it(name, async () => {
        const before = floor();
        const answer = await refused(startCommand({ ...instance, ...change(instance) }), details);
        assert.equal(stopRetry(answer), 'true', 'another machine would meet the same');
        assert.deepEqual(floor(), before);
        await assertFree();
      });
  });

  describe('what the rack config lacks', () => {
    type Rack = { l2Switch: { uplinks: string[] }; hosts: { server: string }[] };

    async function withRacks(change: (racks: Rack[]) => void, work: () => Promise<void>): Promise<void> {
      const config = JSON.parse(stage.floor.rackConfig()) as { racks: Rack[] };
      change(config.racks);
      await stage.admin.call('PUT', '/rack-config', JSON.stringify(config));
      try {
        await work();
      } finally {
        await stage.admin.call('PUT', '/rack-config', stage.floor.rackConfig());
      }
    }

    const untouched = async (details: RegExp): Promise<void> => {
      const before = floor();
      const answer = await refused(startCommand(instance), details);
      assert.equal(stopRetry(answer), undefined, 'another machine may be wired right');
      assert.deepEqual(floor(), before);
      await assertFree();
    };

    it('a machine whose MACs it does not name is not started', () =>
      withRacks(
        (racks) => {
          for (const rack of racks) rack.hosts = [];
        },
        () => untouched(/^server-1: none of its MACs is in the rack config.*wiring\.none/),
      ));

    it('a machine whose switch has no uplink is not started', () =>
      withRacks(
        (racks) => {
          racks[1]!.l2Switch.uplinks = [];
        },
        () => untouched(/^tor-2: the switch has no uplinks.*wiring\.uplink/),
      ));
  });

  describe('an image that is not what it was', () => {
    const images = (): string => path.join(directory, 'state', 'images');
    const stored = (): string[] =>
      readdirSync(images(), { recursive: true, encoding: 'utf8' }).filter(
        (name) => !name.endsWith('uploads'),
      );

    async function addImage(name: string): Promise<{ template: string; file: string }> {
      const before = new Set(stored());
      const template = `http://templates.example/${name}`;
      await stage.admin.upload(
        `/images?name=${name}&canBond=true&firstBoot=nocloud&alias=${template}`,
        gzipSync(makeLabImage({ name, canBond: true, bytes: 2 ** 20 }), { level: 1 }),
      );
      const file = stored().find((one) => !before.has(one))!;
      return { template, file: path.join(images(), file) };
    }

    for (const [what, spoil, details] of [
      [
        'is gone',
        (file: string) => rmSync(file),
        /the file of image "spoilt" is gone from the server.*upload it again/,
      ],
      [
        'is cut short',
        (file: string) => truncateSync(file, 100),
        /"spoilt" has 100 bytes on the server instead of \d+/,
      ],
    ] as const)
      it(`whose file ${what} is missed before anything is touched`, async () => {
        const { template, file } = await addImage('spoilt');
        spoil(file);
        const before = floor();
        const answer = await refused(startCommand({ ...instance, template }), details);
        assert.equal(stopRetry(answer), 'true', 'the next machine would miss it too');
        assert.deepEqual(floor(), before);
        await assertFree();
        await stage.admin.call('DELETE', '/images/spoilt');
      });

    it('whose bytes are others is found out by the machine, whose disk is erased again', async () => {
      const { template, file } = await addImage('spoilt');
      const bytes = readFileSync(file);
      for (let at = 5_000; at < 5_016; at += 1) bytes[at]! ^= 0xff;
      writeFileSync(file, bytes);
      await refused(
        startCommand({ ...instance, template }),
        /checksum: expected [0-9a-f]{64}, got .*deploy\.checksum/,
      );
      await until(async () => (await machine())['state'] === 'ready', 'the machine to be ready again');
      await assertFree();
      await stage.admin.call('DELETE', '/images/spoilt');
    });
  });

  /** From whatever a failure left to a machine that is free again, by an administrator's means only. */
  async function recover(): Promise<void> {
    heal();
    const { operation, claim, quarantine } = await machine();
    if (operation) await stage.admin.follow(String((operation as Json)['id']));
    if (claim) await stage.admin.operation('POST', '/machines/server-1/destroy', {});
    // Where the power is unknown, a person has to see to it first.
    if (row().power === 'on' && quarantine) server.machine.losePower();
    if (quarantine) await stage.admin.call('DELETE', '/machines/server-1/quarantine');
    const { quarantines } = await stage.admin.call('GET', '/quarantines');
    for (const { kind, name } of quarantines as Json[])
      await stage.admin.call('DELETE', `/quarantines/${String(kind)}/${encodeURIComponent(String(name))}`);
    if ((await machine())['state'] !== 'ready')
      await stage.admin.operation('POST', '/machines/server-1/erase', {});
    await assertFree();
  }

  describe('a BMC', () => {
    /** When the machine is switched on for the given time. */
    const atPowerOn = (which: number, happens: () => void): void => {
      let seen = 0;
      const off = server.machine.events.on('phase', ({ phase }) => {
        if (phase !== 'firmware') return;
        seen += 1;
        if (seen < which) return;
        off();
        happens();
      });
    };
    afterEach(recover);

    const dies = (): void => server.bmc.behave({ dead: true });
    const chassisControl = '0.2';
    const setBootOptions = '0.8';

    // What fails before the machine was switched on, or leaves it off: undone, and free for the next.
    const undone: readonly (readonly [name: string, fault: () => void, details: RegExp])[] = [
      ['is dead from the beginning', dies, /power\.unreachable/],
      [
        'refuses the password',
        () => {
          server.bmc.dropSessions();
          server.bmc.behave({ wrongPassword: true });
        },
        /power\.auth/,
      ],
      ['is busy for ever', () => server.bmc.behave({ busy: Number.POSITIVE_INFINITY }), /power\.busy/],
      [
        'has no free session',
        () => {
          server.bmc.dropSessions();
          server.bmc.behave({ slotsFull: true });
        },
        /power\.busy/,
      ],
      [
        'refuses the boot device',
        () => server.bmc.behave({ completion: { [setBootOptions]: 0xcc } }),
        /power\.refused/,
      ],
      ['never answers to the boot device', () => server.bmc.behave({ mute: [setBootOptions] }), /power\./],
      [
        'refuses to switch on',
        () => server.bmc.behave({ completion: { [chassisControl]: 0xcc } }),
        /power\.refused/,
      ],
      [
        'says yes and does nothing',
        () => server.bmc.behave({ withoutEffect: Number.POSITIVE_INFINITY }),
        /power\.unconfirmed/,
      ],
      [
        'boots another device than it was told',
        () => server.machine.behaviours.add({ kind: 'wrong-device' }),
        /deploy\.never-booted/,
      ],
    ];
    for (const [name, fault, details] of undone)
      it(`that ${name}: the Start is undone`, async () => {
        fault();
        await refused(startCommand(instance), details);
        heal();
        await until(async () => (await machine())['state'] === 'ready', 'the machine to be ready again');
        await assertFree();
      });

    // What leaves the power unknown: fenced, withheld, told to a person.
    for (const [name, which] of [
      ['to install', 1],
      ['for the tenant', 2],
    ] as const)
      it(`that dies when the machine was switched on ${name}: the ports are shut, the machine is withheld`, async () => {
        atPowerOn(which, dies);
        await refused(startCommand(instance), /power\.unreachable/);
        assert.ok(
          row().ports.every(({ up }) => !up),
          'every port is shut',
        );
        const { quarantine, claim } = await machine();
        assert.equal(claim, null);
        assert.equal((quarantine as Json)['fenced'], true);
        assert.match(
          String((quarantine as Json)['reason']),
          /could not be confirmed .* its ports are shut: tor-1 .* tor-2/,
        );
        await refused(startCommand(stage.instance('i-6-1000-VM')), /machine\.quarantined/);
      });

    it('that forgets its sessions, and never answers to chassis controls but carries them out, stops nobody', async () => {
      server.bmc.behave({ mute: [chassisControl] });
      atPowerOn(1, () => server.bmc.dropSessions());
      await good(startCommand(instance));
      await running();
      heal();
      await good(destroyCommand(instance));
      await assertFree();
    });
  });

  it('a switch that says yes and does nothing: the Start is undone, ports and disk too', async () => {
    second.behaviours.on(
      /^ *untagged TenGigabitEthernet 1\/1/,
      {
        do: 'edit',
        when: 'after',
        edit: (model) => {
          if (row().ports[1]!.native === 200)
            model.removeUntagged(200, server.machine.nics[1]!.place.port, 'nobody');
        },
      },
      { times: Number.POSITIVE_INFINITY },
    );
    await refused(startCommand(instance), /tor-2: read back after the change.*switch\.not-verified/);
    await recover();
  });

  describe('under a running instance', () => {
    const extra = { mac: '06:00:ac:10:00:77', broadcastUri: 'vlan://201' };
    let tenant: LabInstance;

    before(async () => {
      tenant = stage.instance('i-6-500-VM');
      await good(startCommand(tenant));
      await running();
    });

    after(async () => {
      await recover();
    });

    afterEach(async () => {
      assert.deepEqual([row().power, row().phase], ['on', 'os'], 'the tenant was not disturbed');
      assert.deepEqual(ports(), on(200));
      const { state, claim, quarantine, operation } = await machine();
      assert.deepEqual(
        [state, (claim as Json)['externalId'], quarantine, operation],
        ['deployed', `cloudstack/${tenant.name}`, null, null],
      );
    });

    const plug = plugNicCommand('i-6-500-VM', extra);
    const unplug = unPlugNicCommand('i-6-500-VM', extra);
    const tagging = /^ *tagged TenGigabitEthernet 1\/1/;
    const saving = /^write memory/;
    const always = { times: Number.POSITIVE_INFINITY };

    const survived: readonly (readonly [name: string, command: RegExp, behaviour: Behaviour])[] = [
      ['disconnects before the change', tagging, { do: 'disconnect', when: 'before' }],
      ['disconnects after the change', tagging, { do: 'disconnect', when: 'after' }],
      ['hangs before the change', tagging, { do: 'hang', when: 'before' }],
      ['hangs after the change', tagging, { do: 'hang', when: 'after' }],
      ['reloads before the change, unsaved', tagging, { do: 'reload', when: 'before' }],
      ['reloads after the change, unsaved', tagging, { do: 'reload', when: 'after' }],
      ['reloads instead of saving', saving, { do: 'reload', when: 'before' }],
      ['disconnects instead of saving', saving, { do: 'disconnect', when: 'before' }],
    ];
    for (const [name, command, behaviour] of survived)
      it(`a switch that ${name}: PlugNic comes to its end all the same, and is saved`, async () => {
        const rule = second.behaviours.on(command, behaviour);
        const answer = await send(plug);
        assert.equal(answer.result, true, answer.details ?? '');
        assert.equal(rule.fired, 1);
        assert.deepEqual(ports(), on(200, [201]));
        await good(unplug);
        assert.ok(second.model.saved);
      });

    const undone: readonly (readonly [name: string, fault: () => void, details: RegExp])[] = [
      [
        'hangs at every try',
        () => second.behaviours.on(tagging, { do: 'hang', when: 'before' }, always),
        /tor-2.*switch\.timeout/,
      ],
      [
        'breaks every session',
        () => second.behaviours.on(tagging, { do: 'disconnect', when: 'before' }, always),
        /tor-2.*switch\.session-lost/,
      ],
      [
        'says yes and does nothing',
        () =>
          second.behaviours.on(
            tagging,
            {
              do: 'edit',
              when: 'after',
              edit: (model) => model.removeTagged(201, server.machine.nics[1]!.place.port, 'nobody'),
            },
            always,
          ),
        /tor-2: read back after the change: .*1\/1 is native 200, tagged none.*switch\.not-verified/,
      ],
    ];
    for (const [name, fault, details] of undone)
      it(`a switch that ${name}: PlugNic is undone on both switches`, async () => {
        fault();
        await refused(plug, details);
        heal();
        await until(async () => (await machine())['operation'] === null, 'the end of the undo');
      });

    it('a switch that cannot save: PlugNic is carried out, an alarm says so, and the next change saves both', async () => {
      second.behaviours.on(saving, { do: 'fail-save' }, always);
      await good(plug);
      assert.deepEqual(ports(), on(200, [201]));
      assert.equal(second.model.saved, false);
      const { alarms } = (await stage.admin.call('GET', '/alarms')) as { alarms: Json[] };
      assert.ok(alarms.some(({ code }) => code === 'switch.unsaved'));
      heal();
      await good(unplug);
      assert.equal(second.model.saved, true);
    });

    it('a switch that takes no connection: PlugNic is refused, and changed nothing on the other one', async () => {
      second.reception = 'closed';
      second.dropSessions();
      try {
        await refused(plug, /tor-2.*switch\.(unreachable|session-lost)/);
      } finally {
        second.reception = 'served';
      }
    });

    it('a BMC that says yes and does nothing: Stop does not say that the machine is off', async () => {
      server.bmc.behave({ withoutEffect: Number.POSITIVE_INFINITY });
      await refused(stopCommand({ name: tenant.name, force: true }), /power\.unconfirmed/);
    });

    it('a BMC that is dead: Stop is refused', async () => {
      server.bmc.behave({ dead: true });
      await refused(stopCommand({ name: tenant.name, force: true }), /power\.unreachable/);
    });

    it('a BMC that refuses: Reboot is refused', async () => {
      server.bmc.behave({ completion: { '0.2': 0xcc } });
      await refused(rebootCommand(tenant.name), /Chassis Control was refused.*CCh.*power\.refused/);
    });

    it('a NIC that cannot be is not plugged, and no port is touched', async () => {
      const before = floor();
      for (const [change, details] of [
        [{ mac: '01:00:5e:00:00:01' }, /group.*value\.mac/],
        [{ mac: '' }, /value\.mac/],
        [{ broadcastUri: 'vlan://4095' }, /4095.*network\.vlan-uri/],
        [{ broadcastUri: 'vxlan://201' }, /network\.vlan-uri/],
        [{ mac: tenant.nics![0]!.mac }, /another NIC of the instance has the MAC 06:.*request\.invalid/],
      ] as const)
        await refused(plugNicCommand(tenant.name, { ...extra, ...change }), details);
      assert.deepEqual(floor(), before);
    });
  });

  describe('after all of that', () => {
    it('a Start on the same link is carried out, once', async () => {
      let installs = 0;
      server.machine.events.on('installing', () => {
        installs += 1;
      });
      await good(startCommand(instance));
      await running();
      assert.equal(installs, 1);
      assert.deepEqual(ports(), on(200));
      await good(destroyCommand(instance));
      await assertFree();
    });
  });
});

function withoutUri({ mac, deviceId, defaultNic, ip }: LabNic): LabNic {
  return {
    mac,
    ...(deviceId !== undefined && { deviceId }),
    ...(defaultNic !== undefined && { defaultNic }),
    ...(ip !== undefined && { ip }),
  };
}
