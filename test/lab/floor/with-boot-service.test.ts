import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { parseMac, type DiskFacts, type PhaseOrder, type PhaseProgress } from '../../../plugin-api/index.ts';
import { LabFloor } from '../../../lab/floor/index.ts';
import { faster, lifelike, makeLabImage, type LabMachine } from '../../../lab/machine/index.ts';
import { bootFolder, inOnePiece, startBootFloor, type BootFloor } from '../../api/boot/boot-floor.ts';
import { machineId, machineOf } from '../../operations/boot/boot-samples.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';
import { until } from '../machine/until.ts';

const allotted = parseMac('06:00:00:00:02:00');

describe('the simulated floor and the real boot service', () => {
  let temp: TempStorage;
  let folder: ReturnType<typeof bootFolder>;
  let boot: BootFloor;
  let floor: LabFloor;
  let machine: LabMachine;
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'csbm-floor-'));

  before(async () => {
    temp = await tempStorage();
    folder = bootFolder();
    boot = await startBootFloor({ storage: temp.storage, folder: folder.folder });
    floor = await LabFloor.start({
      directory,
      machines: 1,
      bootService: { host: '127.0.0.1', port: boot.port },
      machine: { timing: { ...faster(lifelike, 300), bytesPerSecond: null } },
    });
    machine = floor.find('server-1').machine;
    await temp.storage.run((tx) =>
      tx.machines.insert(
        machineOf({
          nics: machine.nics.map((nic) => ({
            name: nic.label,
            mac: nic.mac,
            linkUp: true,
            speedMbps: null,
            neighbour: null,
          })),
        }),
      ),
    );
  });
  after(async () => {
    await floor.stop();
    await boot.close();
    await temp.close();
    folder.remove();
    fs.rmSync(directory, { recursive: true, force: true });
  });

  function setPorts(vlan: number): void {
    for (const { model } of floor.switches) {
      const port = 'TenGigabitEthernet 1/1';
      model.ensureVlan(vlan, 'test');
      for (const uplink of model.portNames.filter((name) => name.startsWith('forty')))
        model.addTagged(vlan, uplink, 'test');
      const before = model.explicitNative(port);
      if (before !== null) model.removeUntagged(before, port, 'test');
      model.addUntagged(vlan, port, 'test');
    }
  }

  /** What an operation does: begin, arm, power on, wait until off, read how it ended. */
  async function phase(wanted: PhaseOrder): Promise<PhaseProgress> {
    setPorts(100);
    await boot.engine.begin(wanted);
    await temp.storage.run((tx) => boot.boots.arm(tx, wanted.id));
    machine.control('on', { device: 'pxe', efi: false });
    await until('power on', () => machine.power() === 'on');
    await until('power off', () => machine.power() === 'off');
    const progress = (await boot.engine.progress(wanted.id))!;
    assert.equal(progress.state, 'done', `${JSON.stringify(progress)}\n${machine.console.join('\n')}`);
    return progress;
  }

  it('commission, deploy, start with the allotted MAC, and erase', async () => {
    const base = {
      machineId: machineId as string,
      hostname: 'server-1',
      macs: machine.nics.map((nic) => nic.mac),
    };
    const { inventory } = await phase({ ...base, id: 'op-1:commission', phase: 'commission' });
    const disks: readonly DiskFacts[] = inventory!.disks;
    assert.deepEqual(
      disks.map((disk) => disk.serial),
      ['DISK-server-1'],
    );

    const image = makeLabImage({ name: 'lab-linux', canBond: true, bytes: 1024 * 1024 });
    await boot.images.add(
      { name: 'lab-linux', canBond: true, firstBoot: 'nocloud', aliases: [] },
      inOnePiece(gzipSync(image)),
    );
    await phase({
      ...base,
      id: 'op-2:deploy',
      phase: 'deploy',
      image: 'lab-linux',
      nicPlan: [
        { kind: 'bond', name: 'bond0', mode: 'active-backup', members: base.macs, mac: allotted, dhcp: true },
      ],
      firstBoot: { instanceId: 'i-2-77', hostname: 'web1', sshKeys: [], userData: null },
      rootDisk: {},
      disks,
    });
    const { address } = floor.router.reserve(200, allotted);
    setPorts(200);
    machine.control('on', { device: 'disk', efi: false });
    await until('the lease', () => floor.router.leaseOf(allotted)?.address === address);
    assert.equal(machine.os!.instanceId, 'i-2-77');
    machine.control('soft', { device: 'none', efi: false });
    await until('off', () => machine.power() === 'off');

    const erased = await phase({ ...base, id: 'op-3:erase', phase: 'erase', grade: 'full', disks });
    assert.equal(erased.evidence?.verified, true);
    assert.deepEqual(machine.diskContent(machine.disks[0]!), {
      image: null,
      bootable: false,
      instanceId: null,
      macs: [],
      residue: null,
    });
    assert.deepEqual(floor.violations, []);
  });

  it('leave a machine without an order off', async () => {
    machine.control('on', { device: 'pxe', efi: false });
    await until('power on', () => machine.power() === 'on');
    await until('power off', () => machine.power() === 'off');
    assert.match(boot.logged(), /boot decision/);
  });
});
