import assert from 'node:assert/strict';
import {
  requireRamdiskPrograms,
  RamdiskSandbox,
  type SandboxDisk,
} from '../drivers/deploy/agent/ramdisk-sandbox.ts';
import { gptImage, mbrImage, mebibyte } from '../drivers/deploy/agent/sample-images.ts';
import { TinyBootService } from '../lab/machine/tiny-boot-service.ts';

interface Result {
  readonly ok: boolean;
  readonly error?: { readonly code: string; readonly said: string };
  readonly erase?: { readonly disks: readonly { readonly grade: string; readonly method: string }[] };
}

describe('the ramdisk agent', function () {
  this.timeout(60_000);
  let service: TinyBootService;
  let machine: RamdiskSandbox;
  const mac = '52:54:0a:00:00:01';

  before(function () {
    requireRamdiskPrograms(this);
  });
  beforeEach(async () => {
    service = new TinyBootService();
    await service.start();
  });
  afterEach(async () => {
    await machine.close();
    await service.stop();
  });

  async function run(): Promise<Result> {
    const script = await (await fetch(`${service.base}/boot/v1/script?mac=${mac}`)).text();
    await machine.run(service.base, /csbm\.token=(\S+)/.exec(script)![1]!);
    return service.results[0] as unknown as Result;
  }

  // Partition tables count sectors: one made for 512 bytes means nothing on a disk with sectors of 4096. It was written all the same, and the
  // machine given to its tenant, which could not boot it.
  for (const [table, raw] of [
    ['MBR', mbrImage],
    ['GPT', gptImage],
  ] as const)
    it(`refuses an image with an ${table} for other sectors than the disk has`, async () => {
      const disk: SandboxDisk = { name: 'vda', serial: 'S1', bytes: 16 * mebibyte, sectorBytes: 4096 };
      machine = new RamdiskSandbox([disk], [{ name: 'eth0', mac }]);
      const stored = raw();
      service.giveImage({ stored, rawBytes: stored.length, encoding: 'raw' }, disk, null);
      const { ok, error } = await run();
      assert.equal(ok, false);
      assert.match(error!.said, /sectors of 4096/);
      assert.ok(
        machine.diskPart('vda', 0, 8192).every((byte) => byte === 0),
        'the disk is left blank',
      );
    });

  // An ATA disk whose erase was cut is locked with our password, and takes no other. It was never erased again: setting the password failed, and
  // nothing can be written to a locked disk.
  it('erases an ATA disk that an erase before left locked', async () => {
    const disk: SandboxDisk = { name: 'sda', serial: 'WD-1', bytes: 8 * mebibyte };
    machine = new RamdiskSandbox([disk], [{ name: 'eth0', mac }]);
    machine.fakeProgram(
      'hdparm',
      `case "$*" in
-I*) printf 'Security: \\n\\tMaster password revision code = 65534\\n\\t\\tsupported\\n\\t\\tenabled\\n\\t\\tlocked\\n\\tnot\\tfrozen\\nLogical Unit WWN: 5\\n' ;;
*"--security-erase csbm"*) dd if=/dev/zero of=$5 bs=1M count=8 conv=notrunc 2>/dev/null ;;
*) exit 1 ;;
esac`,
    );
    service.give({ id: 'op-1', phase: 'erase', grade: 'secure', disks: [disk] });
    const { erase } = await run();
    assert.deepEqual(
      erase?.disks.map(({ grade, method }) => [grade, method]),
      [['secure', 'ata-security-erase']],
    );
  });
});
