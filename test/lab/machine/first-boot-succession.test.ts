import assert from 'node:assert/strict';
import { successionOf } from '../../../lab/machine/first-boot.ts';
import { retiringUserData } from '../../../src/drivers/deploy/maas/user-data.ts';

const container = (userData: string) => ({
  label: 'cidata',
  files: { 'meta-data': 'instance-id: i-1\n', 'user-data': userData },
});

describe('a system whose first boot prepares its second', () => {
  it('takes over the files that the first boot writes, and switches off', () => {
    const files = {
      'meta-data': 'instance-id: i-2\n',
      'user-data': '#!/bin/sh\nü\n',
      'network-config': 'version: 2\n',
    };
    const found = successionOf(container(retiringUserData(files, true)));
    assert.deepEqual(found, { container: { label: 'cidata', files }, powerOff: true });
    assert.equal(successionOf(container(retiringUserData(files, false)))?.powerOff, false);
  });

  it('is no other system', () => {
    for (const text of ['', '#!/bin/sh\n', '#cloud-config\n{}\n', '#cloud-config\nwrite_files: []\n'])
      assert.equal(successionOf(container(text)), null);
  });
});
