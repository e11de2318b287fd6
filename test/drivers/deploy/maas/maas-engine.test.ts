import assert from 'node:assert/strict';
import { parse } from 'yaml';
import {
  CodedError,
  milliseconds,
  parseMac,
  type DeployEngine,
  type PhaseOrder,
  type PhaseProgress,
} from '../../../../plugin-api/index.ts';
import { status } from '../../../../src/drivers/deploy/maas/maas-shapes.ts';
import { networkConfig } from '../../../../src/drivers/deploy/native/nocloud.ts';
import {
  bmcPassword,
  bondPlan,
  commissionOrder,
  deployOrder,
  engineFor,
  eraseOrder,
  MemoryNotes,
  singlePlan,
  tenantMac,
  type EngineFixture,
} from './engine-fixture.ts';
import { ScriptedMaas, tokenSecret, username, type FakeMachine, type Fault } from './scripted-maas.ts';

const answer = (
  code: number,
  body: string,
  more: Partial<{ type: string; retryAfter: string }> = {},
): Fault => ({
  kind: 'answer',
  code,
  type: 'text/plain',
  body,
  ...more,
});

describe('MAAS engine', () => {
  let maas: ScriptedMaas;
  let fixture: EngineFixture;
  let engine: DeployEngine;
  beforeEach(async () => {
    maas = await ScriptedMaas.start();
    fixture = engineFor(maas.url);
    ({ engine } = fixture);
  });
  afterEach(async () => {
    await maas.stop();
    const told = fixture.log.join('\n') + JSON.stringify([...fixture.notes.kept]);
    for (const secret of [tokenSecret, bmcPassword, 'bmc-geheim']) assert.ok(!told.includes(secret));
  });

  /** What the engine says now, however recently it was asked. */
  const look = async (id: string, one = fixture): Promise<PhaseProgress> => {
    one.clock.shift += 1_000;
    const progress = await one.engine.progress(id);
    assert.ok(progress, 'it does not know the order');
    return progress;
  };
  const refusal = async (order: PhaseOrder): Promise<CodedError> => {
    const thrown = await engine.begin(order).then(
      () => assert.fail('it was begun'),
      (error: unknown) => error,
    );
    assert.ok(thrown instanceof CodedError, String(thrown));
    assert.ok(!thrown.message.includes(tokenSecret));
    return thrown;
  };
  const deployed = (machine: FakeMachine, power = 'off'): void => {
    Object.assign(machine, { status: status.deployed, power_state: power });
  };

  it('leaves power to MAAS in every phase', () => {
    assert.deepEqual(engine.powerBy, { commission: 'engine', deploy: 'engine', erase: 'engine' });
  });

  describe('images', () => {
    it('are the boot resources, by name once, with their series as alias', async () => {
      const images = await engine.images();
      assert.deepEqual(
        images.map(({ name, aliases, canBond, firstBoot }) => [name, aliases, canBond, firstBoot]),
        [
          ['custom/debian-12', ['debian-12'], true, 'nocloud'],
          ['ubuntu/jammy', ['jammy'], true, 'nocloud'],
          ['ubuntu/noble', ['noble'], true, 'nocloud'],
          ['windows/win2022', ['win2022'], false, 'none'],
        ],
      );
    });

    it('that no rack controller has are not ready', async () => {
      assert.equal(await engine.imageFault?.('ubuntu/jammy'), null);
      assert.match(
        (await engine.imageFault?.('ubuntu/noble')) ?? '',
        /no rack controller has the image ubuntu\/noble/,
      );
      maas.spoil(/list_boot_images/, answer(403, 'This method is reserved for admin users.'));
      assert.equal(await engine.imageFault?.('ubuntu/noble'), null);
    });
  });

  describe('commission', () => {
    it('adds an unknown machine with its BMC, has it commissioned, and takes the inventory', async () => {
      await engine.begin(commissionOrder());
      const [machine] = maas.machines;
      assert.deepEqual(maas.changes(), ['POST machines/', `POST machines/${machine!.system_id}/ commission`]);
      const created = maas.calls.find(({ method, path }) => method === 'POST' && path === 'machines/')!.form;
      assert.deepEqual(created.getAll('mac_addresses'), ['52:54:00:11:22:33', '52:54:00:11:22:34']);
      assert.equal(created.get('architecture'), 'amd64');
      assert.equal(created.get('power_parameters_power_pass'), bmcPassword);
      assert.equal(created.get('power_parameters_cipher_suite_id'), '17');
      assert.equal(created.get('commission'), 'false');
      assert.equal((await look('op-1:commission')).state, 'running');
      Object.assign(machine!, {
        status: status.ready,
        cpu_count: 8,
        memory: 1024,
        physicalblockdevice_set: [{ name: 'sda', serial: 'S', model: 'M', size: 5e11, tags: ['rotary'] }],
      });
      const done = await look('op-1:commission');
      assert.equal(done.state, 'done');
      assert.deepEqual(done.inventory, {
        cpus: 8,
        memoryBytes: 1024 * 2 ** 20,
        architecture: 'x86_64',
        firmware: 'efi',
        product: 'Acme R1',
        serial: 'SN-1',
        nics: [
          { name: 'eno1', mac: '52:54:00:11:22:33', linkUp: true, speedMbps: 10_000, neighbour: null },
          { name: 'eno2', mac: '52:54:00:11:22:34', linkUp: true, speedMbps: 10_000, neighbour: null },
        ],
        disks: [
          {
            name: 'sda',
            model: 'M',
            serial: 'S',
            bytes: 5e11,
            rotational: true,
            removable: false,
            readOnly: false,
          },
        ],
      });
    });

    it('adopts a Ready machine by the MAC of any NIC, and changes nothing there', async () => {
      maas.add({ macs: ['52:54:00:99:99:99', '52:54:00:11:22:34'] });
      await engine.begin(commissionOrder());
      assert.deepEqual(maas.changes(), []);
      assert.equal((await look('op-1:commission')).state, 'done');
    });

    it("adopts a machine by its BMC's address", async () => {
      maas.add({ macs: ['52:54:00:99:99:99'], power_parameters: { power_address: '10.0.0.9' } });
      await engine.begin(commissionOrder());
      assert.equal(maas.machines.length, 1);
      maas.admin = false;
      await engine.begin(commissionOrder({ id: 'op-9:commission' }));
      assert.equal(maas.machines.length, 2, 'without the right to ask, the MAC alone tells');
    });

    it('refuses NICs of two machines, and a machine that somebody uses', async () => {
      maas.add({ macs: ['52:54:00:11:22:33'] });
      const other = maas.add({ macs: ['52:54:00:11:22:34'] });
      assert.equal((await refusal(commissionOrder())).code, 'maas.machine-ambiguous');
      maas.machines.shift();
      Object.assign(other, { status: status.deployed, owner: 'alice' });
      const error = await refusal(commissionOrder());
      assert.equal(error.code, 'maas.machine-taken');
      assert.match(error.message, /Deployed, owner alice/);
      assert.deepEqual(maas.changes(), []);
    });

    it('adds the machine once, although the answer was lost', async () => {
      maas.spoil(/^POST machines\/$/, { kind: 'cut-after' });
      maas.spoil(/commission$/, { kind: 'cut-after' });
      await engine.begin(commissionOrder());
      assert.equal(maas.machines.length, 1);
      assert.equal(maas.machines[0]!.status, status.commissioning);
    });

    it('does not add it where the call did not arrive', async () => {
      maas.spoil(/^POST machines\/$/, { kind: 'cut-before' });
      assert.equal((await refusal(commissionOrder())).code, 'maas.unreachable');
      await engine.begin(commissionOrder());
      assert.equal(maas.machines.length, 1);
    });

    it('commissions again what failed before, and fails early', async () => {
      const machine = maas.add({ status: status.failedCommissioning });
      await engine.begin(commissionOrder());
      assert.equal(machine.status, status.commissioning);
      Object.assign(machine, { status: status.failedCommissioning, error_description: 'no disks' });
      fixture.clock.shift += 120_000;
      const failed = await look('op-1:commission');
      assert.equal(failed.state, 'failed');
      assert.match(failed.error!.said, /Failed commissioning; no disks/);
      assert.match(failed.evidence!.summary, /curtin failed/);
    });

    it('stops when it is withdrawn, and the machine stays in MAAS', async () => {
      const machine = maas.add({ status: status.new });
      await engine.begin(commissionOrder());
      await engine.withdraw('op-1:commission');
      await engine.withdraw('op-1:commission');
      assert.equal(machine.status, status.new);
      assert.equal(maas.machines.length, 1);
      assert.equal(await engine.progress('op-1:commission'), null);
    });
  });

  describe('deploy', () => {
    it('allocates, marks, bonds, deploys the exact image, and is done after the first boot', async () => {
      const machine = maas.add();
      await engine.begin(deployOrder());
      assert.equal(machine.status, status.deploying);
      assert.equal(machine.owner, username);
      assert.equal(machine.hostname, 'web1');
      assert.equal(machine.owner_data['csbm_order'], 'op-2:deploy');
      assert.deepEqual(machine.tag_names, ['accountid_1234']);
      assert.equal(machine.distro_series, 'jammy');
      const bond = machine.interface_set.find(({ type }) => type === 'bond')!;
      assert.equal(bond.name, 'bond0');
      assert.equal(bond.mac_address, tenantMac);
      assert.deepEqual(bond.parents, ['eno1', 'eno2']);
      assert.deepEqual(bond.params, { bond_mode: 'active-backup', bond_miimon: 100 });
      assert.deepEqual(
        bond.links.map(({ mode, subnet }) => [mode, subnet?.id]),
        [['dhcp', 7]],
      );

      assert.match((await look('op-2:deploy')).activity, /Deploying/);
      deployed(machine, 'on');
      const booting = await look('op-2:deploy');
      assert.equal(booting.state, 'running');
      assert.match(booting.activity, /first boot/);
      machine.power_state = 'off';
      const done = await look('op-2:deploy');
      assert.equal(done.state, 'done');
      assert.equal(done.evidence?.verified, true);
      assert.match(done.evidence.summary, /Deployed with ubuntu\/jammy, and off after its first boot/);
    });

    it('hands over first-boot data that retires the MAAS data source and carries all of ours', async () => {
      const machine = maas.add();
      await engine.begin(deployOrder());
      const text = Buffer.from(machine.user_data!, 'base64').toString('utf8');
      assert.ok(text.startsWith('#cloud-config\n'));
      const config = parse(text) as {
        write_files: { path: string; content: string; encoding?: string }[];
        runcmd: string[][];
        power_state: { mode: string };
      };
      const file = (path: string): string => {
        const found = config.write_files.find((one) => one.path === path)!;
        return found.encoding === 'b64'
          ? Buffer.from(found.content, 'base64').toString('utf8')
          : found.content;
      };
      const seed = '/var/lib/cloud/seed/nocloud';
      assert.equal(file(`${seed}/user-data`), '#!/bin/sh\necho tenant\n');
      assert.equal(file(`${seed}/network-config`), networkConfig(bondPlan));
      const meta = parse(file(`${seed}/meta-data`)) as Record<string, unknown>;
      assert.equal(meta['instance-id'], 'i-2-77-1');
      assert.equal(meta['local-hostname'], 'web1');
      assert.deepEqual(meta['public-keys'], ['ssh-ed25519 AAAA a@b']);
      assert.deepEqual(parse(file('/etc/cloud/cloud.cfg.d/99-csbm.cfg')), {
        datasource_list: ['NoCloud', 'None'],
      });
      const removed = config.runcmd.flat().join(' ');
      assert.match(removed, /90_maas\*\.cfg/);
      assert.match(removed, /50-curtin-networking\.cfg/);
      assert.equal(config.power_state.mode, 'poweroff');
    });

    it('leaves a single NIC its MAC, by which MAAS knows the machine, and takes an old bond away', async () => {
      const machine = maas.add();
      await engine.begin(deployOrder());
      maas.released(machine);
      assert.equal(machine.interface_set.length, 3);
      await engine.begin(deployOrder({ id: 'op-5:deploy', nicPlan: singlePlan }));
      assert.deepEqual(
        machine.interface_set.map(({ type, mac_address: mac }) => [type, mac]),
        [
          ['physical', '52:54:00:11:22:33'],
          ['physical', '52:54:00:11:22:34'],
        ],
      );
      assert.deepEqual(
        machine.interface_set[0]!.links.map(({ mode }) => mode),
        ['dhcp'],
      );
      assert.equal(machine.status, status.deploying);
    });

    it('uses a bond that is there, with mode and MAC of this order', async () => {
      const machine = maas.add();
      await engine.begin(deployOrder());
      maas.released(machine);
      const mac = parseMac('02:00:11:22:33:55');
      const [link] = bondPlan;
      assert.ok(link?.kind === 'bond');
      await engine.begin(deployOrder({ id: 'op-5:deploy', nicPlan: [{ ...link, mac, mode: '802.3ad' }] }));
      const bonds = machine.interface_set.filter(({ type }) => type === 'bond');
      assert.equal(bonds.length, 1);
      assert.equal(bonds[0]!.mac_address, mac);
      assert.equal((bonds[0]!.params as { bond_mode: string }).bond_mode, '802.3ad');
    });

    it('begun again is the same order', async () => {
      const machine = maas.add();
      await engine.begin(deployOrder());
      const calls = maas.changes().length;
      await engine.begin(deployOrder());
      deployed(machine);
      await engine.begin(deployOrder());
      assert.equal(maas.changes().length, calls);
    });

    it('goes on after a restart of the service, from the notes and MAAS alone', async () => {
      const machine = maas.add();
      await engine.begin(deployOrder());
      deployed(machine);
      const second = engineFor(maas.url, {}, fixture.notes);
      assert.equal((await look('op-2:deploy', second)).state, 'done');
    });

    // Wherever it was cut, beginning again ends in one deployment.
    const cuts = [
      /allocate/,
      /set_owner_data/,
      /create_bond/,
      /link_subnet/,
      /PUT/,
      /update_nodes/,
      / deploy$/,
    ];
    for (const cut of cuts) {
      for (const kind of ['cut-after', 'cut-before'] as const) {
        it(`deploys once when ${String(cut)} is ${kind === 'cut-after' ? 'done, but not answered' : 'lost'}`, async () => {
          const machine = maas.add();
          maas.spoil(cut, { kind });
          await engine.begin(deployOrder()).catch((thrown: unknown) => {
            assert.ok(thrown instanceof CodedError && thrown.retry === 'later', String(thrown));
          });
          const again = engineFor(maas.url, {}, fixture.notes);
          await again.engine.begin(deployOrder());
          assert.equal(machine.status, status.deploying);
          assert.equal(machine.interface_set.filter(({ type }) => type === 'bond').length, 1);
          const deploys = maas.calls.filter(({ op }) => op === 'deploy').length;
          assert.ok(deploys <= (kind === 'cut-before' && cut.test('x deploy') ? 2 : 1), `${deploys} deploys`);
        });
      }
    }

    it('waits as MAAS asks, and stops where it must not go on', async () => {
      const machine = maas.add();
      maas.spoil(/ deploy$/, answer(503, 'no rack connection', { retryAfter: '0' }));
      await engine.begin(deployOrder());
      assert.equal(machine.status, status.deploying);
      maas.released(machine);
      maas.spoil(/ deploy$/, answer(500, '<html><title>Oops</title>', { type: 'text/html' }));
      const error = await refusal(deployOrder({ id: 'op-6:deploy' }));
      assert.equal(error.code, 'maas.unreachable');
      assert.match(error.message, /a web page titled "Oops"/);
      assert.equal(machine.status, status.allocated);
    });

    it('refuses an image that MAAS lacks, or has for other machines only, before it touches anything', async () => {
      maas.add();
      assert.equal((await refusal(deployOrder({ image: 'ubuntu/focal' }))).code, 'deploy.image-unknown');
      assert.match((await refusal(deployOrder({ image: 'ubuntu/noble' }))).message, /only for arm64/);
      assert.deepEqual(maas.changes(), []);
    });

    it('refuses another root disk than the machine would install to', async () => {
      maas.add();
      assert.equal((await refusal(deployOrder({ rootDisk: { serial: 'S-2' } }))).code, 'deploy.no-disk');
      await engine.begin(deployOrder({ rootDisk: { serial: 'S-1' } }));
    });

    it('refuses a machine that another user has, that runs something, or that is not there', async () => {
      assert.equal((await refusal(deployOrder())).code, 'maas.machine-lost');
      const machine = maas.add({ status: status.allocated, owner: 'alice' });
      assert.equal((await refusal(deployOrder())).code, 'maas.machine-taken');
      Object.assign(machine, {
        status: status.deployed,
        owner: username,
        owner_data: { csbm_order: 'op-0:deploy' },
      });
      const error = await refusal(deployOrder());
      assert.equal(error.code, 'maas.state');
      assert.match(error.message, /csbm order op-0:deploy/);
      assert.equal(machine.status, status.deployed);
    });

    it('fails as soon as MAAS says so', async () => {
      const machine = maas.add();
      await engine.begin(deployOrder());
      Object.assign(machine, {
        status: status.failedDeployment,
        status_message: 'Failed deployment - curtin',
      });
      const failed = await look('op-2:deploy');
      assert.equal(failed.state, 'failed');
      assert.equal(failed.error!.code, 'deploy.agent-failed');
      assert.match(failed.error!.said, /Failed deployment/);
    });

    it('notices what was done behind its back', async () => {
      const machine = maas.add();
      const lost = async (): Promise<void> => {
        const failed = await look('op-2:deploy');
        assert.equal(failed.state, 'failed', failed.activity);
        assert.equal(failed.error!.code, 'maas.machine-lost');
      };
      await engine.begin(deployOrder());
      // Renamed: nobody's business.
      machine.hostname = 'other';
      assert.equal((await look('op-2:deploy')).state, 'running');
      machine.status = status.allocated;
      fixture.clock.shift += 120_000;
      await lost();
      deployed(machine);
      machine.distro_series = 'focal';
      await lost();
      machine.owner_data['csbm_order'] = 'op-7:deploy';
      await lost();
      maas.released(machine);
      await lost();
      maas.machines.length = 0;
      await lost();
    });

    it('stays on as long as MAAS does, and tells when MAAS itself falls silent', async () => {
      maas.add();
      await engine.begin(deployOrder());
      const first = await look('op-2:deploy');
      fixture.clock.shift += 3_600_000;
      const later = await look('op-2:deploy');
      assert.equal(later.state, 'running');
      assert.ok(later.lastSeen! > first.lastSeen!);
      const { url } = maas;
      await maas.stop();
      const silent = await look('op-2:deploy');
      assert.equal(silent.state, 'running');
      assert.equal(silent.lastSeen, later.lastSeen);
      assert.match(silent.activity, /MAAS cannot be asked/);
      const second = engineFor(url, {}, fixture.notes);
      const a = await look('op-2:deploy', second);
      const b = await look('op-2:deploy', second);
      assert.equal(a.lastSeen, b.lastSeen);
      maas = await ScriptedMaas.start();
    });

    it('does not wait for ever for the end of the first boot', async () => {
      const machine = maas.add();
      await engine.begin(deployOrder());
      deployed(machine, 'on');
      assert.equal((await look('op-2:deploy')).state, 'running');
      fixture.clock.shift += 21 * 60_000;
      const failed = await look('op-2:deploy');
      assert.equal(failed.error?.code, 'deploy.stalled');
    });

    it('is done at Deployed where it shall not wait, or the image has no cloud-init', async () => {
      const machine = maas.add();
      fixture = engineFor(maas.url, { awaitFirstBoot: false });
      ({ engine } = fixture);
      await engine.begin(deployOrder());
      assert.doesNotMatch(Buffer.from(machine.user_data!, 'base64').toString(), /power_state/);
      deployed(machine, 'on');
      assert.equal((await look('op-2:deploy')).state, 'done');
      maas.released(machine);
      fixture = engineFor(maas.url);
      ({ engine } = fixture);
      machine.user_data = null;
      await engine.begin(deployOrder({ id: 'op-8:deploy', image: 'windows/win2022', nicPlan: singlePlan }));
      assert.equal(machine.user_data, null);
      deployed(machine, 'on');
      assert.equal((await look('op-8:deploy')).state, 'done');
    });

    it('does not ask more often than it must', async () => {
      maas.add();
      fixture = engineFor(maas.url, { pollInterval: milliseconds(10_000), pollMax: milliseconds(30_000) });
      ({ engine } = fixture);
      await engine.begin(deployOrder());
      await engine.progress('op-2:deploy');
      const calls = maas.calls.length;
      for (let i = 0; i < 10; i += 1) await engine.progress('op-2:deploy');
      assert.equal(maas.calls.length, calls);
      fixture.clock.shift += 11_000;
      await engine.progress('op-2:deploy');
      assert.equal(maas.calls.length, calls + 1);
      fixture.clock.shift += 11_000;
      await engine.progress('op-2:deploy');
      assert.equal(maas.calls.length, calls + 1, 'without news it asks less often');
    });

    it('withdrawn before anything was written gives the machine back', async () => {
      const machine = maas.add();
      maas.spoil(/set_owner_data/, answer(500, 'boom'));
      await refusal(deployOrder());
      assert.equal(machine.status, status.allocated);
      await engine.withdraw('op-2:deploy');
      assert.equal(machine.status, status.ready);
      assert.equal(machine.release!['erase'], undefined);
    });

    it('withdrawn while it writes is aborted, and kept for the erase', async () => {
      const machine = maas.add();
      await engine.begin(deployOrder());
      maas.spoil(/abort/, { kind: 'cut-after' });
      await engine.withdraw('op-2:deploy');
      assert.equal(machine.status, status.allocated);
      assert.equal(machine.owner, username);
      await engine.withdraw('op-2:deploy');
      assert.equal(machine.status, status.allocated);
      await engine.begin(eraseOrder());
      assert.equal(machine.status, status.diskErasing);
    });

    it('withdrawn leaves alone what is not its own any more', async () => {
      const machine = maas.add();
      await engine.begin(deployOrder());
      Object.assign(machine, { status: status.deploying, owner: 'alice', owner_data: {} });
      const calls = maas.changes().length;
      await engine.withdraw('op-2:deploy');
      assert.equal(maas.changes().length, calls);
    });
  });

  describe('erase', () => {
    const grades = [
      ['secure', { erase: 'true', secure_erase: 'true', quick_erase: 'false' }],
      ['full', { erase: 'true', secure_erase: 'false', quick_erase: 'false' }],
      ['quick', { erase: 'true', secure_erase: 'false', quick_erase: 'true' }],
    ] as const;
    for (const [grade, fields] of grades) {
      it(`asks for ${grade} with all three words`, async () => {
        const machine = maas.add({
          status: status.deployed,
          owner: username,
          tag_names: ['accountid_1', 'rack-4'],
        });
        maas.tags.add('accountid_1');
        await engine.begin(eraseOrder({ grade }));
        assert.equal(machine.status, status.diskErasing);
        assert.deepEqual(machine.release, { ...fields, comment: 'csbm op-3:erase' });
        assert.deepEqual(machine.tag_names, ['rack-4']);
        assert.equal(machine.hostname, 'rack1-m1');
      });
    }

    for (const [name, end] of [
      ['Ready', status.ready],
      ['New', status.new],
    ] as const)
      it(`is done at ${name}, with what MAAS showed as evidence`, async () => {
        const machine = maas.add({ status: status.deployed, owner: username });
        await engine.begin(eraseOrder());
        assert.equal((await look('op-3:erase')).state, 'running');
        maas.released(machine, end);
        const done = await look('op-3:erase');
        assert.equal(done.state, 'done');
        assert.equal(done.evidence!.verified, true);
        assert.match(
          done.evidence!.summary,
          /grade secure; MAAS showed the erase, and does not say what each disk did/,
        );
      });

    it('allocates a machine that is Ready, since MAAS erases nothing else', async () => {
      const machine = maas.add();
      await engine.begin(eraseOrder());
      assert.equal(machine.status, status.diskErasing);
    });

    it('claims nothing that MAAS did not show', async () => {
      const machine = maas.add({ status: status.deployed, owner: username });
      await engine.begin(eraseOrder());
      // The release alone was seen.
      await fixture.notes.put('op-3:erase', 'abc123', {
        ...fixture.notes.kept.get('op-3:erase'),
        seen: 'nothing',
      });
      machine.status = status.releasing;
      await look('op-3:erase');
      maas.released(machine);
      assert.equal((await look('op-3:erase')).evidence!.verified, false);
      // Nothing was seen.
      await fixture.notes.put('op-3:erase', 'abc123', {
        ...fixture.notes.kept.get('op-3:erase'),
        seen: 'nothing',
      });
      fixture.clock.shift += 120_000;
      const failed = await look('op-3:erase');
      assert.equal(failed.error?.code, 'deploy.erase-unproven');
    });

    it('fails with what MAAS says', async () => {
      const machine = maas.add({ status: status.deployed, owner: username });
      await engine.begin(eraseOrder());
      Object.assign(machine, { status: status.failedDiskErasing, error_description: 'sda is frozen' });
      const failed = await look('op-3:erase');
      assert.equal(failed.error?.code, 'deploy.agent-failed');
      assert.match(failed.error.said, /Failed disk erasing; sda is frozen/);
      await engine.begin(eraseOrder({ id: 'op-4:erase' }));
      assert.equal(machine.status, status.diskErasing, 'it can be tried again');
    });

    it('is one erase, although the answer was lost or it was begun again', async () => {
      const machine = maas.add({ status: status.deployed, owner: username });
      maas.spoil(/release/, { kind: 'cut-after' });
      await engine.begin(eraseOrder());
      await engine.begin(eraseOrder());
      assert.equal(machine.status, status.diskErasing);
      assert.equal(maas.calls.filter(({ op }) => op === 'release').length, 1);
    });

    it('takes an erase that it may have asked for itself, and waits for one of others', async () => {
      const machine = maas.add({ status: status.deployed, owner: username });
      await engine.begin(eraseOrder());
      // As it is after a crash between the call and its answer.
      const note = { ...fixture.notes.kept.get('op-3:erase'), accepted: false, seen: 'nothing' };
      await fixture.notes.put('op-3:erase', 'abc123', note);
      assert.equal(machine.status, status.diskErasing);
      const second = engineFor(maas.url, {}, fixture.notes);
      await second.engine.begin(eraseOrder());
      assert.equal((await look('op-3:erase', second)).state, 'running');
      const stranger = engineFor(maas.url, {}, new MemoryNotes());
      await assert.rejects(stranger.engine.begin(eraseOrder({ id: 'op-9:erase' })), (error: CodedError) => {
        assert.equal(error.code, 'maas.busy');
        return error.retry === 'later';
      });
    });

    it('refuses what another user has, and what was never commissioned', async () => {
      const machine = maas.add({ status: status.deployed, owner: 'alice' });
      assert.equal((await refusal(eraseOrder())).code, 'maas.machine-taken');
      Object.assign(machine, { status: status.new, owner: null });
      assert.equal((await refusal(eraseOrder())).code, 'maas.state');
      assert.deepEqual(maas.changes(), []);
    });

    it('never deletes a machine', async () => {
      maas.add();
      await engine.begin(commissionOrder());
      await engine.begin(deployOrder());
      await engine.withdraw('op-2:deploy');
      await engine.begin(eraseOrder());
      await engine.withdraw('op-3:erase');
      assert.ok(!maas.changes().some((call) => call.startsWith('DELETE machines/')));
      assert.ok(!maas.changes().some((call) => /power_(on|off)/.test(call)), 'power is MAAS own business');
    });
  });

  it('plans the calls of each phase without secrets', async () => {
    for (const order of [commissionOrder(), deployOrder(), eraseOrder()]) {
      const lines = (await engine.plan(order)).join('\n');
      for (const secret of [tokenSecret, bmcPassword, 'echo tenant']) assert.ok(!lines.includes(secret));
      assert.equal(maas.calls.length, 0);
    }
    const lines = (await engine.plan(deployOrder())).join('\n');
    for (const part of ['op=allocate', 'bond_mode=active-backup', 'distro_series=ubuntu/jammy', tenantMac])
      assert.ok(lines.includes(part), part);
    assert.match(
      (await engine.plan(eraseOrder())).join('\n'),
      /erase=true secure_erase=true quick_erase=false/,
    );
  });
});
