import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parse } from 'yaml';
import {
  DeviceError,
  parseMac,
  parseVlanId,
  type BootOrder,
  type DeployEngine,
  type DiskFacts,
  type NicPlan,
  type PhaseOrder,
  type StoredImage,
} from '../../../../plugin-api/index.ts';
import { createNativeEngine } from '../../../../src/drivers/deploy/native/native-engine.ts';
import { networkConfig, noCloudFiles } from '../../../../src/drivers/deploy/native/nocloud.ts';
import { ManualClock } from '../../../../src/kernel/clock/manual-clock.ts';

const gib = 1024 ** 3;
const hw1 = parseMac('52:54:00:11:22:33');
const hw2 = parseMac('52:54:00:11:22:34');
const csMac = parseMac('02:00:11:22:33:44');
const csMac2 = parseMac('1e:00:00:00:00:02');
const bond: NicPlan = [
  { kind: 'bond', name: 'bond0', mode: 'active-backup', members: [hw1, hw2], mac: csMac, dhcp: true },
  { kind: 'vlan', name: 'vlan200', link: 'bond0', vlan: parseVlanId(200), mac: csMac2, dhcp: true },
];
const single: NicPlan = [{ kind: 'nic', name: 'nic0', hardware: hw1, mac: csMac, dhcp: true }];
const image: StoredImage = {
  name: 'debian-12',
  aliases: [],
  canBond: true,
  firstBoot: 'nocloud',
  rawBytes: 2 * gib,
  encoding: 'zstd',
  storedBytes: 123,
  sha256: 'ab'.repeat(32),
};
const plainImage: StoredImage = { ...image, name: 'plain', firstBoot: 'none' };
const disk = (name: string, size: number, more: Partial<DiskFacts> = {}): DiskFacts => ({
  name,
  model: 'M',
  serial: `S-${name}`,
  bytes: size * gib,
  rotational: false,
  removable: false,
  readOnly: false,
  ...more,
});
const secretUserData = '#!/bin/sh\necho geheim: "$HOME"\n';
const deploy = (more: Partial<Extract<PhaseOrder, { phase: 'deploy' }>> = {}): PhaseOrder => ({
  id: 'op-1:deploy',
  machineId: 'abc123',
  hostname: 'm1',
  macs: [hw1, hw2],
  phase: 'deploy',
  image: 'debian-12',
  nicPlan: bond,
  firstBoot: {
    instanceId: 'i-2-77-1',
    hostname: 'web1',
    sshKeys: ['ssh-ed25519 AAAA a@b'],
    userData: secretUserData,
  },
  rootDisk: {},
  disks: [disk('vdb', 40), disk('vda', 20)],
  ...more,
});
const erase: PhaseOrder = {
  id: 'op-2:erase',
  machineId: 'abc123',
  hostname: 'm1',
  macs: [hw1],
  phase: 'erase',
  grade: 'secure',
  disks: [disk('vda', 20), disk('sr0', 1, { readOnly: true }), disk('sdz', 1, { removable: true })],
};

/** An engine whose conversations merely remember what was placed. */
function engineWith(images: readonly StoredImage[] = [image, plainImage]): {
  readonly engine: DeployEngine;
  readonly placed: BootOrder[];
  readonly withdrawn: string[];
} {
  const placed: BootOrder[] = [];
  const withdrawn: string[] = [];
  const engine = createNativeEngine(
    {
      clock: new ManualClock(),
      log: () => undefined,
      imageCatalogue: {
        find: async (name) => images.find((i) => i.name === name) ?? null,
        list: async () => images,
      },
      conversations: {
        place: async (order) => void placed.push(order),
        progress: async (id) => ({ state: 'running', activity: id, percent: 50, lastSeen: 1 }),
        withdraw: async (id) => void withdrawn.push(id),
      },
    },
    undefined,
  );
  return { engine, placed, withdrawn };
}

async function placedBy(order: PhaseOrder, images?: readonly StoredImage[]): Promise<BootOrder> {
  const { engine, placed } = engineWith(images);
  await engine.begin(order);
  assert.equal(placed.length, 1);
  return placed[0]!;
}

const code = (wanted: string) => (error: unknown) => error instanceof DeviceError && error.code === wanted;

describe('native engine', () => {
  it('leaves power to us in every phase', () => {
    assert.deepEqual(engineWith().engine.powerBy, { commission: 'ours', deploy: 'ours', erase: 'ours' });
  });

  it('knows the images of the catalogue', async () => {
    const { engine } = engineWith();
    assert.deepEqual(
      (await engine.images()).map((i) => i.name),
      ['debian-12', 'plain'],
    );
  });

  it('refuses settings that it does not have', () => {
    assert.throws(() => createNativeEngine({} as never, { imageDir: '/x' }));
  });

  it('places a deploy order with image, root disk and first-boot files', async () => {
    const order = await placedBy(deploy());
    assert.deepEqual(order.work, {
      id: 'op-1:deploy',
      phase: 'deploy',
      image: {
        url: '/boot/v1/agent/image',
        encoding: 'zstd',
        sha256: 'ab'.repeat(32),
        storedBytes: 123,
        rawBytes: 2 * gib,
      },
      rootDisk: { name: 'vda', serial: 'S-vda', bytes: 20 * gib },
      firstBoot: {
        label: 'cidata',
        files: ['meta-data', 'user-data', 'network-config'].map((name) => ({
          name,
          url: `/boot/v1/agent/first-boot/${name}`,
        })),
      },
    });
    assert.equal(order.image, 'debian-12');
    assert.deepEqual(order.macs, [hw1, hw2]);
    assert.deepEqual(Object.keys(order.firstBootFiles), ['meta-data', 'user-data', 'network-config']);
  });

  it('hands out no first-boot data for an image that takes none', async () => {
    const order = await placedBy(deploy({ image: 'plain' }));
    assert.equal(order.work['firstBoot'], null);
    assert.deepEqual(order.firstBootFiles, {});
  });

  it('places commission and erase orders', async () => {
    const { id, machineId, hostname, macs } = erase;
    assert.deepEqual((await placedBy({ id, machineId, hostname, macs, phase: 'commission' })).work, {
      id,
      phase: 'commission',
    });
    assert.deepEqual((await placedBy(erase)).work, {
      id,
      phase: 'erase',
      grade: 'secure',
      disks: [{ name: 'vda', serial: 'S-vda', bytes: 20 * gib }],
    });
  });

  it('refuses an unknown image and places nothing', async () => {
    const { engine, placed } = engineWith();
    await assert.rejects(engine.begin(deploy({ image: 'nope' })), code('deploy.image-unknown'));
    await assert.rejects(engine.plan(deploy({ image: 'nope' })), code('deploy.image-unknown'));
    assert.deepEqual(placed, []);
  });

  it('says in its plan what begin does, without first-boot contents', async () => {
    const { engine, placed } = engineWith();
    const lines = (await engine.plan(deploy())).join('\n');
    assert.deepEqual(placed, []);
    for (const part of [
      'debian-12',
      'vda (S-vda)',
      'bond0 active-backup',
      'vlan200',
      csMac,
      'i-2-77-1',
      'op-1:deploy',
    ])
      assert.ok(lines.includes(part), `${part} in\n${lines}`);
    assert.doesNotMatch(lines, /geheim|AAAA/);
    assert.match((await engine.plan(erase)).join('\n'), /erase vda .* grade secure/);
  });

  it('passes on progress and withdrawal', async () => {
    const { engine, withdrawn } = engineWith();
    assert.equal((await engine.progress('op-9'))?.activity, 'op-9');
    await engine.withdraw('op-9');
    assert.deepEqual(withdrawn, ['op-9']);
  });

  it('places nothing when it is aborted', async () => {
    const { engine, placed } = engineWith();
    await assert.rejects(engine.begin(deploy(), AbortSignal.abort(new Error('cancelled'))), /cancelled/);
    assert.deepEqual(placed, []);
  });

  describe('root disk', () => {
    const chosen = async (more: Partial<Extract<PhaseOrder, { phase: 'deploy' }>>) =>
      ((await placedBy(deploy(more))).work['rootDisk'] as { name: string }).name;

    it('is the smallest writable one that is large enough', async () => {
      const disks = [
        disk('a', 100),
        disk('b', 1),
        disk('c', 3, { readOnly: true }),
        disk('d', 4, { removable: true }),
        disk('e', 50),
      ];
      assert.equal(await chosen({ disks }), 'e');
      assert.equal(await chosen({ disks, rootDisk: { minBytes: 60 * gib } }), 'a');
      assert.equal(await chosen({ disks: [disk('x', 3)] }), 'x');
    });

    it('is the one with the hinted serial', async () => {
      assert.equal(await chosen({ rootDisk: { serial: 'S-vdb' } }), 'vdb');
    });

    it('is refused where none fits, saying why', async () => {
      const small = deploy({ disks: [disk('a', 1)] });
      await assert.rejects(
        placedBy(small),
        (e) => code('deploy.no-disk')(e) && /a \(S-a\): only/.test(String(e)),
      );
      await assert.rejects(placedBy(deploy({ rootDisk: { serial: 'S-none' } })), code('deploy.no-disk'));
      await assert.rejects(placedBy(deploy({ disks: [] })), code('deploy.no-disk'));
      const guarded = deploy({ rootDisk: { serial: 'S-r' }, disks: [disk('r', 50, { readOnly: true })] });
      await assert.rejects(placedBy(guarded), code('deploy.no-disk'));
    });
  });
});

describe('NoCloud files', () => {
  // As cloud-init reads them: PyYAML is YAML 1.1, where an unquoted 52:54:00:11:22:33 is a number.
  const read = (text: string): unknown => parse(text, { version: '1.1' });
  const data = {
    instanceId: 'i-2-77-1',
    hostname: 'web1',
    sshKeys: ['ssh-rsa A', 'ssh-rsa B'],
    userData: null,
  };

  it('describe a bond with a VLAN interface', () => {
    assert.deepEqual(read(networkConfig(bond)), {
      version: 2,
      ethernets: {
        nic0: { match: { macaddress: hw1 }, dhcp4: false, optional: true },
        nic1: { match: { macaddress: hw2 }, dhcp4: false, optional: true },
      },
      bonds: {
        bond0: {
          interfaces: ['nic0', 'nic1'],
          macaddress: csMac,
          dhcp4: true,
          'dhcp-identifier': 'mac',
          parameters: { mode: 'active-backup', 'mii-monitor-interval': 100 },
        },
      },
      vlans: {
        vlan200: { id: 200, link: 'bond0', macaddress: csMac2, dhcp4: true, 'dhcp-identifier': 'mac' },
      },
    });
  });

  it('describe a single NIC that takes the allotted MAC', () => {
    assert.deepEqual(read(networkConfig(single)), {
      version: 2,
      ethernets: {
        nic0: { match: { macaddress: hw1 }, macaddress: csMac, dhcp4: true, 'dhcp-identifier': 'mac' },
      },
    });
  });

  it('describe fixed addresses, routes, MTU and the parameters of bonds; members have ids of their own', () => {
    const addressed = {
      mac: csMac,
      dhcp: false,
      addresses: ['10.0.0.5/24', 'fd00::5/64'],
      gateways: ['10.0.0.1', 'fd00::1'],
      nameservers: ['10.0.0.53'],
      mtu: 9000,
    };
    const config = read(
      networkConfig([
        {
          ...addressed,
          kind: 'bond',
          name: 'bond0',
          mode: '802.3ad',
          members: [hw1],
          miimon: 50,
          upDelay: 1,
          downDelay: 2,
          lacpRate: 'fast',
          hashPolicy: 'layer3+4',
        },
        {
          kind: 'bond',
          name: 'bond1',
          mode: 'active-backup',
          members: [hw2],
          mac: hw2,
          dhcp: false,
          gratuitousArp: 2,
        },
        { kind: 'nic', name: 'nic0', hardware: csMac2, mac: csMac2, dhcp: true },
      ]),
    );
    assert.deepEqual(config, {
      version: 2,
      ethernets: {
        nic1: { match: { macaddress: hw1 }, dhcp4: false, optional: true },
        nic2: { match: { macaddress: hw2 }, dhcp4: false, optional: true },
        nic0: { match: { macaddress: csMac2 }, macaddress: csMac2, dhcp4: true, 'dhcp-identifier': 'mac' },
      },
      bonds: {
        bond0: {
          interfaces: ['nic1'],
          macaddress: csMac,
          dhcp4: false,
          addresses: ['10.0.0.5/24', 'fd00::5/64'],
          routes: [
            { to: '0.0.0.0/0', via: '10.0.0.1' },
            { to: '::/0', via: 'fd00::1' },
          ],
          nameservers: { addresses: ['10.0.0.53'] },
          mtu: 9000,
          parameters: {
            mode: '802.3ad',
            'mii-monitor-interval': 50,
            'up-delay': 1,
            'down-delay': 2,
            'lacp-rate': 'fast',
            'transmit-hash-policy': 'layer3+4',
          },
        },
        bond1: {
          interfaces: ['nic2'],
          macaddress: hw2,
          dhcp4: false,
          parameters: { mode: 'active-backup', 'mii-monitor-interval': 100, 'gratuitious-arp': 2 },
        },
      },
    });
  });

  it('carry instance id, hostname and SSH keys in meta-data', () => {
    assert.deepEqual(read(noCloudFiles(data, single)['meta-data']!), {
      'instance-id': 'i-2-77-1',
      'local-hostname': 'web1',
      'public-keys': ['ssh-rsa A', 'ssh-rsa B'],
    });
  });

  it('take user data verbatim, and a cloud-config of nothing without any', () => {
    for (const userData of [
      secretUserData,
      '#cloud-config\nusers: []\n',
      'Content-Type: multipart/mixed; boundary="x"\n',
      '',
    ]) {
      assert.equal(noCloudFiles({ ...data, userData }, single)['user-data'], userData);
    }
    const none = noCloudFiles(data, single)['user-data']!;
    assert.match(none, /^#cloud-config\n/);
    assert.deepEqual(read(none), {});
  });

  it('say the same after reading whatever hostname, key and MAC they carry', () => {
    const word = fc.oneof(
      fc.string(),
      fc.constantFrom('yes', 'null', '1e3', '0x1f', '12:30:45', '~', ': x', '- a', '#'),
    );
    const mac = fc
      .uint8Array({ minLength: 5, maxLength: 5 })
      .map((bytes) => parseMac(`02${Buffer.from(bytes).toString('hex')}`));
    fc.assert(
      fc.property(word, fc.array(word), mac, mac, (hostname, sshKeys, hardware, own) => {
        const plan: NicPlan = [{ kind: 'nic', name: 'nic0', hardware, mac: own, dhcp: true }];
        const files = noCloudFiles({ instanceId: hostname, hostname, sshKeys, userData: null }, plan);
        const meta = read(files['meta-data']!) as Record<string, unknown>;
        assert.equal(meta['instance-id'], hostname);
        assert.equal(meta['local-hostname'], hostname);
        assert.deepEqual(meta['public-keys'] ?? [], sshKeys);
        const network = read(files['network-config']!) as { ethernets: { nic0: Record<string, unknown> } };
        assert.equal(network.ethernets.nic0['macaddress'], own);
        assert.deepEqual(network.ethernets.nic0['match'], { macaddress: hardware });
      }),
    );
  });
});
