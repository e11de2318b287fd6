import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freeMachine, userClaim } from '../api/maas/machine-samples.ts';
import { asCodedError } from '../../src/kernel/errors/service-error.ts';
import { asker } from '../support/user-stage.ts';
import { MaasService } from '../api/maas/maas-service.ts';
import { machineId } from '../store/samples.ts';

// Of two deployments of one machine at once, of two images, the second was answered 200 and never made.
it('of two deployments at once the one that is not made is refused', async function () {
  this.timeout(30_000);
  const maas = new MaasService();
  try {
    await maas.start();
    const image = {
      canBond: true,
      firstBoot: 'nocloud',
      rawBytes: 2 ** 20,
      encoding: 'zstd',
      storedBytes: 1_000,
      sha256: 'ab'.repeat(32),
      createdAt: 1,
      version: 1,
    } as const;
    const folder = join(maas.admin.folder, 'state', 'images');
    mkdirSync(folder, { recursive: true });
    for (const name of ['debian-12', 'rocky-9'])
      writeFileSync(join(folder, `${name}.zst`), Buffer.alloc(image.storedBytes));
    await maas.admin.storage.run(async (tx) => {
      await tx.machines.insert(freeMachine(1));
      await tx.claims.insert(userClaim(1, 'admin'));
      for (const name of ['debian-12', 'rocky-9'])
        await tx.images.insert({ ...image, name, aliases: [], file: `${name}.zst` });
    });
    const deploy = (image: string, userData: string | null = null) =>
      maas.admin.allocations.deploy(machineId(1), asker('admin', 'admin'), { image, userData, sshKeys: [] });
    const of = async (...deployments: readonly Promise<unknown>[]): Promise<readonly string[]> =>
      (await Promise.allSettled(deployments)).map((end) =>
        end.status === 'fulfilled' ? 'taken' : asCodedError(end.reason).code,
      );
    assert.deepEqual(
      await of(deploy('debian-12'), deploy('rocky-9'), deploy('debian-12', '#!/bin/sh'), deploy('debian-12')),
      ['taken', 'operation.conflict', 'operation.conflict', 'taken'],
    );
  } finally {
    await maas.dispose();
  }
});
