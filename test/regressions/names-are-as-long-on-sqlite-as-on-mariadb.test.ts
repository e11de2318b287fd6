import assert from 'node:assert/strict';
import { MaasService } from '../api/maas/maas-service.ts';

// What SQLite kept at any length was a fault of the service (500) on MariaDB, whose columns have an end.
it('a name that no MariaDB takes is refused with its field, whatever the database', async function () {
  this.timeout(30_000);
  const maas = new MaasService();
  try {
    await maas.start();
    const long = 'x'.repeat(250);
    await maas.post('domains/', { name: long });
    for (const [path, field, fields] of [
      ['resourcepools/', 'name', { name: 'p'.repeat(65) }],
      ['boot-sources/', 'url', { url: `http://images.example.org/${long}` }],
      ['license-keys/', 'distro_series', { osystem: long, distro_series: long, license_key: 'k' }],
      ['dnsresources/', 'fqdn', { name: 'www.www', domain: long }],
    ] as const) {
      const refused = await maas.post(path, fields);
      assert.equal(refused.status, 400, `${path}: ${refused.text}`);
      assert.ok(refused.text.includes(`"${field}"`), `${path}: ${refused.text}`);
    }
    assert.equal((await maas.post('resourcepools/', { name: 'p'.repeat(64) })).status, 200);
  } finally {
    await maas.dispose();
  }
});
