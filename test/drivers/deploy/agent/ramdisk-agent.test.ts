import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { readdirSync, symlinkSync, rmSync, writeFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { TinyBootService } from '../../../lab/machine/tiny-boot-service.ts';
import { requirePeer } from '../../../support/peers.ts';
import { until } from '../../../support/until.ts';
import {
  RamdiskSandbox,
  requireRamdiskPrograms,
  which,
  type SandboxDisk,
  type SandboxNic,
} from './ramdisk-sandbox.ts';
import { content, gptImage, mbrImage, mebibyte, zstd } from './sample-images.ts';

const mac = '52:54:0a:00:00:01';
const vda = { name: 'vda', serial: 'S1', bytes: 16 * mebibyte };
const firstBoot = { 'meta-data': 'instance-id: "i-1"\n', 'user-data': '#cloud-config\n{}\n' };

type Result = {
  readonly ok: boolean;
  readonly inventory?: { nics: Record<string, unknown>[]; disks: Record<string, unknown>[] } & Record<
    string,
    unknown
  >;
  readonly erase?: { disks: Record<string, unknown>[] };
  readonly deploy?: { serial: string };
  readonly error?: { code: string; said: string };
};

describe('the ramdisk agent', function () {
  this.timeout(60_000);
  let service: TinyBootService;
  let sandbox: RamdiskSandbox | null;

  before(function () {
    requireRamdiskPrograms(this);
  });
  beforeEach(async () => {
    sandbox = null;
    service = new TinyBootService();
    await service.start();
  });
  afterEach(async () => {
    await sandbox?.close();
    await service.stop();
  });

  function machine(
    disks: readonly SandboxDisk[] = [vda],
    nics: readonly SandboxNic[] = [{ name: 'eth0', mac }],
  ): RamdiskSandbox {
    sandbox = new RamdiskSandbox(disks, nics);
    return sandbox;
  }

  /** From power-on to power-off. */
  async function run(on: RamdiskSandbox, env: Readonly<Record<string, string>> = {}): Promise<Result> {
    const script = await (await fetch(`${service.base}/boot/v1/script?mac=${mac}`)).text();
    await on.run(service.base, /csbm\.token=(\S+)/.exec(script)![1]!, env);
    assert.equal(service.results.length, 1, on.log);
    return service.results[0] as Result;
  }

  describe('inventory', () => {
    it('tells NICs and disks as the kernel shows them', async () => {
      const on = machine(
        [
          { name: 'sda', serial: 'WD-1', bytes: 8 * mebibyte, model: 'WDC WD40', removable: false },
          { name: 'sdb', serial: '', bytes: 8 * mebibyte, readOnly: true, removable: true },
          { name: 'nvme0n1', serial: 'NV1', bytes: 8 * mebibyte, model: 'Fast disk' },
        ],
        [
          { name: 'eth0', mac, speed: 10_000 },
          { name: 'eth1', mac: '52:54:0a:01:00:01', linkUp: false, speed: -1 },
        ],
      );
      const { inventory } = await run(on);
      const { nics, disks, ...facts } = inventory!;
      assert.deepEqual(facts, {
        cpus: 2,
        memoryBytes: 2 * 1024 ** 3,
        architecture: 'x86_64',
        firmware: 'legacy',
        product: 'PowerEdge X',
        serial: 'M 1',
      });
      assert.deepEqual(nics, [
        { name: 'eth0', mac, linkUp: true, speedMbps: 10_000, neighbour: null },
        { name: 'eth1', mac: '52:54:0a:01:00:01', linkUp: false, speedMbps: null, neighbour: null },
      ]);
      const common = { bytes: 8 * mebibyte, rotational: false };
      assert.deepEqual(disks, [
        { ...common, name: 'nvme0n1', model: 'Fast disk', serial: 'NV1', removable: false, readOnly: false },
        { ...common, name: 'sda', model: 'WDC WD40', serial: 'WD-1', removable: false, readOnly: false },
        { ...common, name: 'sdb', model: '', serial: '', removable: true, readOnly: true },
      ]);
    });

    it('leaves out what a storage network shows, and never erases it', async () => {
      const lun = (name: string, bus: string): SandboxDisk => ({
        name,
        serial: name,
        bytes: 8 * mebibyte,
        bus,
      });
      const on = machine([
        vda,
        lun('sdx', 'pci0000:00/0000:03:00.0/host3/rport-3:0-1/target3:0:0/3:0:0:0'),
        lun('sdy', 'platform/host4/session1/target4:0:0/4:0:0:1'),
      ]);
      service.give({ id: 'op-1', phase: 'erase', grade: 'full', disks: [vda] });
      const { erase } = await run(on);
      assert.deepEqual(
        erase!.disks.map((disk) => disk['name']),
        ['vda'],
      );
      assert.ok(['sdx', 'sdy'].every((name) => on.disk(name).every((byte) => byte === 0xab)));
    });

    it('tells the switch port that a NIC hears by LLDP', async () => {
      // The agent changes a flag of the NIC by its name, so it must not be one of this host.
      const on = machine([vda], [{ name: 'csbm-none0', mac }]);
      const tlv = (type: number, value: Buffer): Buffer =>
        Buffer.concat([Buffer.from([(type << 1) | (value.length >> 8), value.length & 0xff]), value]);
      const frame = Buffer.concat([
        Buffer.from('ffffffffffff525400aa00010806', 'hex'),
        Buffer.from('0180c200000e00017c112233', 'hex'),
        Buffer.from('88cc', 'hex'),
        tlv(1, Buffer.from('0400017c112233', 'hex')),
        tlv(2, Buffer.from('\x05TenGigabitEthernet 0/7')),
        tlv(3, Buffer.from([0, 120])),
        tlv(5, Buffer.from('tor-a')),
        Buffer.alloc(2),
      ]);
      writeFileSync(path.join(on.directory, 'frame'), frame);
      // Its last argument is OPEN:FILE,creat,append.
      on.fakeProgram(
        'socat',
        `file=\${3#OPEN:}; cat ${path.join(on.directory, 'frame')} >>"\${file%%,*}"; exec sleep 60`,
      );
      const { inventory } = await run(on, { CSBM_LLDP: '20' });
      assert.equal(inventory!.nics[0]!['neighbour'], 'tor-a TenGigabitEthernet 0/7');
    });
  });

  describe('deploy', () => {
    for (const encoding of ['gzip', 'zstd'] as const) {
      it(`moves the backup GPT to the disk's end and puts the first-boot partition before it (${encoding})`, async () => {
        const raw = gptImage();
        const on = machine();
        const stored = encoding === 'zstd' ? zstd(raw) : gzipSync(raw);
        service.giveImage({ stored, rawBytes: raw.length, encoding }, vda, firstBoot);
        assert.equal((await run(on)).ok, true, on.log);
        assert.ok(
          on
            .disk('vda')
            .subarray(mebibyte, raw.length - mebibyte)
            .equals(content(raw)),
        );
        const verified = execFileSync(which('sgdisk'), ['-v', on.diskFile('vda')], { encoding: 'utf8' });
        assert.match(verified, /No problems found/);
        const info = execFileSync(which('sgdisk'), ['-i', '2', on.diskFile('vda')], { encoding: 'utf8' });
        assert.match(info, /Partition name: 'cidata'/);
        const start = Number(/First sector: (\d+)/.exec(info)![1]) * 512;
        assert.equal(start % mebibyte, 0);
        assert.ok(start >= vda.bytes - 6 * mebibyte);
        for (const [name, text] of Object.entries(firstBoot))
          assert.equal(on.seedFile('vda', start, name), text);
        const label = execFileSync(
          which('blkid'),
          ['-p', '-O', String(start), '-s', 'LABEL', '-o', 'value', on.diskFile('vda')],
          {
            encoding: 'utf8',
          },
        );
        assert.equal(label.trim(), 'cidata');
      });
    }

    it('leaves no signature of what was on the disk before', async () => {
      const raw = mbrImage();
      const on = machine();
      // An ext4 magic where an old file system's superblock was, and an old backup GPT at the end.
      const old = Buffer.alloc(vda.bytes, 0xab);
      old.write('EFI PART', vda.bytes - 512);
      writeFileSync(on.diskFile('vda'), old);
      service.giveImage({ stored: raw, rawBytes: raw.length, encoding: 'raw' }, vda, null);
      assert.equal((await run(on)).ok, true);
      assert.ok(
        on
          .disk('vda')
          .subarray(-4 * mebibyte)
          .every((byte) => byte === 0),
      );
    });

    it('asks for the first-boot files again when one of them has no answer, and writes all', async () => {
      const raw = gptImage();
      const on = machine();
      service.fault = (call, seen) => (call.endsWith('/meta-data') && seen <= 2 ? 503 : null);
      service.giveImage({ stored: raw, rawBytes: raw.length, encoding: 'raw' }, vda, firstBoot);
      assert.equal((await run(on)).ok, true, on.log);
      const info = execFileSync(which('sgdisk'), ['-i', '2', on.diskFile('vda')], { encoding: 'utf8' });
      const start = Number(/First sector: (\d+)/.exec(info)![1]) * 512;
      for (const [name, text] of Object.entries(firstBoot))
        assert.equal(on.seedFile('vda', start, name), text);
    });

    it('does not touch the disk when a first-boot file is refused, and tells nothing of the others', async () => {
      const raw = gptImage();
      const on = machine();
      service.fault = (call) => (call.endsWith('/user-data') ? 404 : null);
      const files = { 'meta-data': 'key: not-for-a-log\n', 'user-data': '', 'network-config': 'x' };
      service.giveImage({ stored: raw, rawBytes: raw.length, encoding: 'raw' }, vda, files);
      const { error } = await run(on);
      assert.equal(error?.code, 'fetch');
      assert.match(error.said, /HTTP 404/);
      assert.doesNotMatch(on.log + JSON.stringify(error), /not-for-a-log/);
      assert.ok(on.disk('vda').every((byte) => byte === 0xab));
    });

    it('tells the serial of the disk as it is, whatever it is made of', async () => {
      const odd = { ...vda, serial: String.raw`a"b\c\\ d` };
      const raw = mbrImage();
      const on = machine([odd]);
      service.giveImage({ stored: raw, rawBytes: raw.length, encoding: 'raw' }, odd, null);
      const { ok, deploy } = await run(on);
      assert.equal(ok, true, on.log);
      assert.equal(deploy?.serial, odd.serial);
    });

    it('reports a disk that cannot be written', async () => {
      const on = machine();
      rmSync(on.diskFile('vda'));
      symlinkSync('/dev/full', on.diskFile('vda'));
      service.giveImage({ stored: mbrImage(), rawBytes: 4 * mebibyte, encoding: 'raw' }, vda, null);
      const { error } = await run(on);
      assert.equal(error?.code, 'write');
      assert.match(error.said, /vda/);
    });

    for (const encoding of ['raw', 'gzip', 'zstd'] as const) {
      it(`ends the transfer when the disk refuses in the middle of the image (${encoding})`, async () => {
        const on = machine();
        const raw = Buffer.concat([mbrImage(), randomBytes(8 * mebibyte)]);
        const stored = { raw: () => raw, gzip: () => gzipSync(raw), zstd: () => zstd(raw) }[encoding]();
        const program = encoding === 'raw' ? 'dd' : encoding;
        // What unpacks has the disk as its output; everything else names a file.
        on.fakeProgram(
          program,
          `case "$*" in *if=*) exec ${which(program)} "$@" ;; esac; exec ${which(program)} "$@" >/dev/full`,
        );
        service.giveImage({ stored, rawBytes: raw.length, encoding }, vda, null);
        const { error } = await run(on);
        assert.equal(error?.code, 'write');
        assert.match(error.said, /^the disk vda: .*No space left/);
        assert.equal(service.ranges.length, 1);
      });
    }

    it('refuses an image without a partition table when there is first-boot data to place', async () => {
      const on = machine();
      const raw = Buffer.alloc(mebibyte, 7);
      service.giveImage({ stored: raw, rawBytes: raw.length, encoding: 'raw' }, vda, firstBoot);
      const { error } = await run(on);
      assert.equal(error?.code, 'write');
      assert.match(error.said, /no partition table/);
      assert.ok(
        on
          .disk('vda')
          .subarray(0, 4096)
          .every((byte) => byte === 0),
      );
    });

    it('gives up when the service stays away, and leaves nothing that boots', async () => {
      const on = machine();
      const raw = mbrImage();
      service.holdAt = 2 * mebibyte;
      service.giveImage({ stored: raw, rawBytes: raw.length, encoding: 'raw' }, vda, null);
      const script = await (await fetch(`${service.base}/boot/v1/script?mac=${mac}`)).text();
      const off = on.run(service.base, /csbm\.token=(\S+)/.exec(script)![1]!, { CSBM_RETRY_FOR: '2' });
      await until(() => service.progress.some(({ percent }) => percent !== null), 'the transfer');
      await service.stop();
      assert.equal(await off, 1);
      assert.match(on.log, /did not come back/);
      assert.ok(
        on
          .disk('vda')
          .subarray(0, 4096)
          .every((byte) => byte === 0),
      );
      service = new TinyBootService();
      await service.start();
    });

    it('keeps its token out of logs and process lists', async () => {
      const on = machine();
      on.fakeProgram('curl', `echo "$*" >>${path.join(on.directory, 'calls')}; exec ${which('curl')} "$@"`);
      const raw = mbrImage();
      service.giveImage({ stored: raw, rawBytes: raw.length, encoding: 'raw' }, vda, firstBoot);
      const script = await (await fetch(`${service.base}/boot/v1/script?mac=${mac}`)).text();
      const token = /csbm\.token=(\S+)/.exec(script)![1]!;
      await on.run(service.base, token);
      assert.equal((service.results[0] as Result).ok, true);
      assert.doesNotMatch(readFileSync(path.join(on.directory, 'calls'), 'utf8'), new RegExp(token));
      assert.doesNotMatch(on.log, new RegExp(token));
    });
  });

  describe('erase', () => {
    const nvme = { name: 'nvme0n1', serial: 'NV1', bytes: 8 * mebibyte };
    const sda = { name: 'sda', serial: 'WD-1', bytes: 8 * mebibyte };
    const hdparmReport = (state: string): string =>
      `printf 'Security: \\n\\tMaster password revision code = 65534\\n\\t\\tsupported\\n\\tnot\\tenabled\\n\\t${state}\\n\\tnot\\tlocked\\nLogical Unit WWN: 5\\n'`;

    async function erased(on: RamdiskSandbox, disk: object): Promise<Record<string, unknown>> {
      service.give({ id: 'op-1', phase: 'erase', grade: 'secure', disks: [disk] });
      const { erase, error } = await run(on);
      assert.ok(erase, JSON.stringify(error));
      assert.equal(erase.disks.length, 1);
      return erase.disks[0]!;
    }
    const evidence = ({ grade, method, secureCapable, dirtySamples }: Record<string, unknown>) => ({
      grade,
      method,
      secureCapable,
      dirtySamples,
    });

    it('secure formats an NVMe disk that can', async () => {
      const on = machine([nvme]);
      on.fakeProgram(
        'nvme',
        `case $1 in id-ctrl) echo '{"oacs": 6}' ;; format) [ "$3 $4" = "--ses=1 --force" ] && dd if=/dev/zero of=$2 bs=1M count=8 conv=notrunc 2>/dev/null ;; esac`,
      );
      assert.deepEqual(evidence(await erased(on, nvme)), {
        grade: 'secure',
        method: 'nvme-format-ses1',
        secureCapable: true,
        dirtySamples: 0,
      });
    });

    it('secure writes zeroes over a disk that reads back noise after its own erase', async () => {
      const on = machine([nvme]);
      on.fakeProgram('nvme', `case $1 in id-ctrl) echo '{"oacs": 2}' ;; esac`);
      assert.deepEqual(evidence(await erased(on, nvme)), {
        grade: 'secure',
        method: 'nvme-format-ses1+overwrite-zero',
        secureCapable: true,
        dirtySamples: 0,
      });
    });

    it('secure that the disk refuses is reported as what was reached', async () => {
      const on = machine([nvme]);
      on.fakeProgram('nvme', `case $1 in id-ctrl) echo '{"oacs": 2}' ;; *) exit 1 ;; esac`);
      assert.deepEqual(evidence(await erased(on, nvme)), {
        grade: 'full',
        method: 'overwrite-zero',
        secureCapable: true,
        dirtySamples: 0,
      });
    });

    it('secure uses the security set of an ATA disk', async () => {
      const on = machine([sda]);
      on.fakeProgram(
        'hdparm',
        `echo "$*" >>${path.join(on.directory, 'calls')}
case "$*" in -I*) ${hdparmReport('not\\tfrozen')} ;; *--security-erase*) dd if=/dev/zero of=$5 bs=1M count=8 conv=notrunc 2>/dev/null ;; esac`,
      );
      assert.deepEqual(evidence(await erased(on, sda)), {
        grade: 'secure',
        method: 'ata-security-erase',
        secureCapable: true,
        dirtySamples: 0,
      });
      assert.match(
        readFileSync(path.join(on.directory, 'calls'), 'utf8'),
        /--security-set-pass[^]*--security-erase/,
      );
    });

    it('secure takes the password back from an ATA disk that did not erase', async () => {
      const on = machine([sda]);
      on.fakeProgram(
        'hdparm',
        `echo "$*" >>${path.join(on.directory, 'calls')}
case "$*" in -I*) ${hdparmReport('not\\tfrozen')} ;; *--security-erase*) exit 1 ;; esac`,
      );
      assert.equal((await erased(on, sda))['grade'], 'full');
      assert.match(readFileSync(path.join(on.directory, 'calls'), 'utf8'), /--security-disable/);
    });

    it('secure overwrites an ATA disk whose security the firmware froze, and says so', async () => {
      const on = machine([sda]);
      on.fakeProgram('hdparm', `case "$*" in -I*) ${hdparmReport('\\tfrozen')} ;; *) exit 1 ;; esac`);
      assert.deepEqual(evidence(await erased(on, sda)), {
        grade: 'full',
        method: 'overwrite-zero (ATA security is frozen)',
        secureCapable: false,
        dirtySamples: 0,
      });
    });

    it('leaves read-only disks alone', async () => {
      const on = machine([vda, { name: 'vdb', serial: 'S2', bytes: 8 * mebibyte, readOnly: true }]);
      service.give({ id: 'op-1', phase: 'erase', grade: 'full', disks: [vda] });
      const { erase } = await run(on);
      assert.deepEqual(
        erase!.disks.map((disk) => disk['name']),
        ['vda'],
      );
      assert.ok(on.disk('vdb').every((byte) => byte === 0xab));
    });

    it('reports a disk that cannot be overwritten, and sends its log first', async () => {
      const on = machine();
      rmSync(on.diskFile('vda'));
      symlinkSync('/dev/full', on.diskFile('vda'));
      service.firstBoot = { log: '{}' };
      service.give({ id: 'op-1', phase: 'erase', grade: 'full', disks: [vda] });
      const { error } = await run(on);
      assert.equal(error?.code, 'erase');
      assert.match(error.said, /vda/);
      const posts = service.requests.filter((request) => /\/(log|result)$/.test(request));
      assert.deepEqual(
        posts.map((request) => request.split('/').at(-1)),
        ['log', 'result'],
      );
    });
  });

  it('reports an order that it does not know', async () => {
    service.give({ id: 'op-1', phase: 'dance' });
    const { error } = await run(machine());
    assert.equal(error?.code, 'agent');
  });

  it('is clean in the eyes of shellcheck', function () {
    requirePeer(this, 'shellcheck');
    const folder = fileURLToPath(new URL('../../../../src/drivers/deploy/native/agent', import.meta.url));
    const scripts = readdirSync(folder).filter((name) => name.endsWith('.sh') || name === 'init');
    execFileSync('shellcheck', scripts, { cwd: folder, stdio: 'pipe' });
  });
});
