import assert from 'node:assert/strict';
import { MaasService } from '../api/maas/maas-service.ts';

// Whoever has the role viewer could reserve addresses and ranges, and make devices: only machines were kept from it.
it('who may only look changes nothing that others see', async function () {
  this.timeout(30_000);
  const maas = new MaasService();
  try {
    await maas.start();
    const key = await maas.newUser('eve', { role: 'viewer' });
    const network = { cidr: '10.1.200.0/24' };
    assert.equal((await maas.post('subnets/', network)).status, 200);
    const range = { type: 'reserved', start_ip: '10.1.200.5', end_ip: '10.1.200.9' };
    for (const [path, fields] of [
      ['ipranges/', range],
      ['ipaddresses/?op=reserve', { ip: '10.1.200.3' }],
      ['ipaddresses/?op=release', { ip: '10.1.200.3' }],
      ['devices/', { mac_addresses: '52:54:00:00:00:09' }],
      ['tags/', { name: 'x' }],
    ] as const) {
      const { status, text } = await maas.post(path, fields, { key });
      assert.equal(status, 403, `${path}: ${text}`);
    }
    const { id } = (await maas.post('ipranges/', range)).json as { readonly id: number };
    assert.equal((await maas.call('DELETE', `ipranges/${id}/`, { key })).status, 403);
    assert.equal((await maas.get('ipranges/', { key })).status, 200);
    const own = { filename: 'notes', file: 'x' };
    assert.equal((await maas.post('files/', own, { key })).status, 201, 'what is its own');
  } finally {
    await maas.dispose();
  }
});
