import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseLeases, readLeases } from '../../../../src/drivers/deploy/native/provisioning/leases.ts';

// As dnsmasq 2.90 writes it; the second machine gave its name, the last two lines are of another hardware and of DHCPv6.
const file = `1795304584 52:54:00:aa:00:01 10.11.0.109 * 01:52:54:00:aa:00:01
1795304600 52:54:00:aa:00:02 10.11.0.110 node-2 *
0 52:54:00:aa:00:03 10.11.0.111 * *
1795304584 20-80:00:02:08:fe:80 10.11.0.112 * ff:00
duid 00:01:00:01:2b:f4:d9:1e:52:54:00:12:34:56
1795304584 1 fd77::55 * 00:01
`;

describe('leases of dnsmasq', () => {
  it('are read with address, name and end; what is no lease of a machine is left out', () => {
    assert.deepEqual(parseLeases(file), [
      { mac: '52:54:00:aa:00:01', address: '10.11.0.109', name: null, expiresAt: 1795304584000 },
      { mac: '52:54:00:aa:00:02', address: '10.11.0.110', name: 'node-2', expiresAt: 1795304600000 },
      { mac: '52:54:00:aa:00:03', address: '10.11.0.111', name: null, expiresAt: null },
    ]);
  });

  it('that have ended do not show, and without a file there are none', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'csbm-leases-'));
    try {
      assert.deepEqual(await readLeases(join(folder, 'leases'), 0), []);
      writeFileSync(join(folder, 'leases'), file);
      const names = (await readLeases(join(folder, 'leases'), 1795304590000)).map(({ address }) => address);
      assert.deepEqual(names, ['10.11.0.110', '10.11.0.111']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
