import assert from 'node:assert/strict';
import { MaasService } from '../api/maas/maas-service.ts';

// Whoever got the name of a user who was removed got that user's certificates and reserved addresses with it.
it('nothing of a user who was removed is left to the next of that name', async function () {
  this.timeout(30_000);
  const maas = new MaasService();
  try {
    await maas.start();
    assert.equal((await maas.post('subnets/', { cidr: '10.1.200.0/24' })).status, 200);
    const user = { username: 'anna', email: 'a@example.org', password: 'long enough', is_superuser: '0' };
    const anna = async () => {
      const made = await maas.post('users/', user);
      assert.equal(made.status, 200, made.text);
      return { key: await maas.newKey('anna') };
    };
    const former = await anna();
    const certificate = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----';
    assert.equal((await maas.post('account/prefs/sslkeys/', { key: certificate }, former)).status, 201);
    assert.equal((await maas.post('ipaddresses/?op=reserve', { ip: '10.1.200.9' }, former)).status, 200);
    assert.equal((await maas.call('DELETE', 'users/anna/')).status, 204);
    const next = await anna();
    for (const path of ['account/prefs/sslkeys/', 'ipaddresses/'])
      assert.deepEqual((await maas.get(path, next)).json, [], path);
  } finally {
    await maas.dispose();
  }
});
