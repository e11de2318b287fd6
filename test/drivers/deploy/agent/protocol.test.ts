import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { Bench } from '../../../lab/machine/bench.ts';
import { TinyBootService } from '../../../lab/machine/tiny-boot-service.ts';
import { readFirstBoot } from '../../../../lab/machine/index.ts';
import { until } from '../../../support/until.ts';
import { requirePeer } from '../../../support/peers.ts';
import { parseMac } from '../../../../plugin-api/index.ts';
import { protocolCases, subjectDisks, subjectNics, type Subject } from './protocol-cases.ts';
import { RamdiskSandbox, requireRamdiskPrograms, which } from './ramdisk-sandbox.ts';
import { mebibyte } from './sample-images.ts';

describe('boot protocol', function () {
  this.timeout(60_000);
  before(function () {
    requirePeer(this, 'sfdisk');
  });

  describe('as the simulated machine speaks it', () => protocolCases(simulatedMachine));

  describe('as the ramdisk agent speaks it', () => {
    before(function () {
      requireRamdiskPrograms(this);
    });
    protocolCases(ramdiskAgent);
  });
});

async function simulatedMachine(): Promise<Subject> {
  const bench = new Bench({ disks: subjectDisks });
  await bench.start();
  for (const disk of bench.machine.disks) fs.writeFileSync(disk.file, Buffer.alloc(disk.bytes, 0xab));
  const find = (name: string) => bench.machine.disks.find((disk) => disk.name === name)!;
  return {
    boot: bench.boot,
    run: async () => {
      bench.on('pxe');
      await until(() => bench.machine.power() === 'on');
      await bench.phase('off');
    },
    disk: (name) => fs.readFileSync(find(name).file),
    firstBootFile: (disk, name) => readFirstBoot(find(disk))!.files[name]!,
    log: () => bench.machine.console.join('\n'),
    close: () => bench.stop(),
  };
}

async function ramdiskAgent(): Promise<Subject> {
  const sandbox = new RamdiskSandbox(
    subjectDisks,
    subjectNics.map((mac, index) => ({ name: `eth${index}`, mac: parseMac(mac) })),
  );
  const boot = new TinyBootService();
  await boot.start();
  return {
    boot,
    run: async () => {
      const answer = await fetch(`${boot.base}/boot/v1/script?mac=${subjectNics[0]}`);
      const token = /csbm\.token=(\S+)/.exec(await answer.text())![1]!;
      await sandbox.run(boot.base, token);
    },
    disk: (name) => sandbox.disk(name),
    firstBootFile: (disk, name) => {
      const { partitiontable } = JSON.parse(
        execFileSync(which('sfdisk'), ['--json', sandbox.diskFile(disk)], { encoding: 'utf8' }),
      ) as { partitiontable: { partitions: { start: number }[] } };
      const { start } = partitiontable.partitions.at(-1)!;
      if (start * 512 < subjectDisks[0].bytes - 8 * mebibyte) throw new Error('not at the end of the disk');
      return sandbox.seedFile(disk, start * 512, name);
    },
    log: () => sandbox.log,
    close: async () => {
      await sandbox.close();
      await boot.stop();
    },
  };
}
