import assert from 'node:assert/strict';
import { DeviceError, type DiskFacts } from '../../plugin-api/index.ts';
import { bootOrderOf } from '../../src/drivers/deploy/native/boot-order.ts';

// The smallest disk that was as large as the image was chosen; the agent then refused it, because the first-boot data had no
// room behind the image, although a larger disk was there.
describe('the root disk', () => {
  const mebibyte = 1024 * 1024;
  const rawBytes = 100 * mebibyte;
  const disk = (name: string, bytes: number): DiskFacts => ({
    name,
    model: '',
    serial: `S-${name}`,
    bytes,
    rotational: false,
    removable: false,
    readOnly: false,
  });
  const chosen = (firstBoot: 'nocloud' | 'none', ...disks: readonly DiskFacts[]): unknown => {
    const { work } = bootOrderOf(
      {
        id: 'op-1:deploy',
        machineId: 'abc123',
        hostname: 'm1',
        macs: [],
        phase: 'deploy',
        image: 'debian-12',
        nicPlan: [],
        firstBoot: { instanceId: 'i-1', hostname: 'web1', sshKeys: [], userData: null },
        rootDisk: {},
        disks,
      },
      {
        name: 'debian-12',
        aliases: [],
        canBond: true,
        firstBoot,
        rawBytes,
        encoding: 'raw',
        storedBytes: rawBytes,
        sha256: 'ab'.repeat(32),
      },
    );
    return (work['rootDisk'] as { readonly name: string }).name;
  };
  const room = 6 * mebibyte;

  it('is one with room for the first-boot data behind the image', () => {
    assert.equal(chosen('nocloud', disk('tight', rawBytes + room - 1), disk('large', 2 * rawBytes)), 'large');
    assert.equal(chosen('nocloud', disk('exact', rawBytes + room), disk('large', 2 * rawBytes)), 'exact');
    assert.throws(
      () => chosen('nocloud', disk('tight', rawBytes + room - 1)),
      (error) => error instanceof DeviceError && error.code === 'deploy.no-disk',
    );
  });

  it('needs no room for what is not written', () => {
    assert.equal(chosen('none', disk('exact', rawBytes), disk('large', 2 * rawBytes)), 'exact');
  });
});
