import assert from 'node:assert/strict';
import { localStage } from '../support/local-stage.ts';

// What the inventory said about the firmware was dropped: a UEFI machine that was enrolled without --firmware had its boot device
// set for a BIOS at every boot.
it('a commissioned machine is known by the firmware that it has, and its boot device is set for it', async function () {
  this.timeout(40_000);
  const { stage, close } = await localStage({ floor: { machine: { firmware: 'efi' } } });
  try {
    const { machine } = (await stage.admin.call('GET', '/machines/server-1')) as unknown as {
      readonly machine: { readonly firmware: string };
    };
    assert.equal(machine.firmware, 'efi');
    const { plan } = (await stage.admin.call('POST', '/machines/server-1/erase?plan=1', {
      grade: 'quick',
    })) as unknown as { readonly plan: readonly { readonly lines: readonly string[] }[] };
    const lines = JSON.stringify(plan);
    assert.match(lines, /boot device pxe[^"]*efi/i);
    assert.doesNotMatch(lines, /legacy/i);
  } finally {
    await close();
  }
});
