import assert from 'node:assert/strict';
import type { OAuthKey } from '../../../src/wire/oauth/api-key.ts';
import { MaasService, type MaasAnswer } from './maas-service.ts';

type Form = Readonly<Record<string, string | readonly string[]>>;
type Thing = Readonly<Record<string, unknown>>;

/** A collection, and what becomes of one thing in it. */
interface Collection {
  readonly path: string;
  /** Made with it; `made` is what it then says. */
  readonly create: Form;
  readonly made: Thing;
  /** Changed with it; null = it cannot be changed. */
  readonly change: Form | null;
  readonly changed?: Thing;
  /** A field without which it is refused. */
  readonly needs?: string;
  /** The same again is refused about this field. */
  readonly unique?: string;
  /** Fields with a value that is refused, and what is then said about them. */
  readonly wrong?: readonly (readonly [field: string, value: string, says: RegExp])[];
  readonly status?: number;
  /** Who is no administrator may do it too. */
  readonly open?: true;
}

const sshKey = `ssh-ed25519 ${Buffer.concat([
  Buffer.from([0, 0, 0, 11]),
  Buffer.from('ssh-ed25519'),
  Buffer.from([0, 0, 0, 32]),
  Buffer.alloc(32, 7),
]).toString('base64')} me@here`;

const collections: readonly Collection[] = [
  {
    path: 'fabrics/',
    create: { name: 'row-7', class_type: 'fast' },
    made: { name: 'row-7', class_type: 'fast' },
    change: { name: 'row-8', class_type: '' },
    changed: { name: 'row-8', class_type: null },
    unique: 'name',
    wrong: [['name', '<b>', /Invalid name/]],
  },
  {
    path: 'fabrics/fabric-0/vlans/',
    create: { vid: '42', name: 'tenants', dhcp_on: 'False' },
    made: { vid: 42, name: 'tenants', fabric: 'fabric-0', mtu: 1500, dhcp_on: false, space: 'undefined' },
    change: { mtu: '9000', vid: '43' },
    changed: { vid: 43, mtu: 9000, name: 'tenants' },
    needs: 'vid',
    unique: 'vid',
    wrong: [
      ['vid', '4095', /less than or equal to 4094/],
      ['vid', 'x', /whole number/],
      ['mtu', '100', /greater than or equal to 552/],
      ['space', 'nowhere', /not one of the available/],
      ['relay_vlan', '999', /not one of the available/],
    ],
  },
  {
    path: 'subnets/',
    create: { cidr: '10.30.0.7/24', gateway_ip: '10.30.0.1', dns_servers: '10.30.0.2, 10.30.0.3' },
    made: {
      cidr: '10.30.0.0/24',
      name: '10.30.0.0/24',
      gateway_ip: '10.30.0.1',
      dns_servers: ['10.30.0.2', '10.30.0.3'],
      space: 'undefined',
      managed: true,
      rdns_mode: 2,
    },
    change: { name: 'tenants', managed: 'false', dns_servers: '' },
    changed: { name: 'tenants', managed: false, dns_servers: [], gateway_ip: '10.30.0.1' },
    needs: 'cidr',
    unique: 'cidr',
    wrong: [
      ['cidr', '10.30.0.0', /<network>\/<prefixlen>/],
      ['gateway_ip', '10.31.0.1', /within CIDR/],
      ['gateway_ip', 'here', /valid IPv4/],
      ['vlan', '999', /not one of the available/],
      ['fabric', 'none', /not one of the available/],
      ['vid', '77', /No VLAN with vid 77/],
      ['rdns_mode', '3', /less than or equal to 2/],
    ],
  },
  {
    path: 'spaces/',
    create: { name: 'dmz' },
    made: { name: 'dmz', vlans: [], subnets: [] },
    change: { name: 'lan' },
    changed: { name: 'lan' },
    needs: 'name',
    unique: 'name',
  },
  {
    path: 'ipranges/',
    create: { type: 'reserved', start_ip: '192.0.2.10', end_ip: '192.0.2.20', comment: 'ours' },
    made: { type: 'reserved', start_ip: '192.0.2.10', end_ip: '192.0.2.20', comment: 'ours' },
    change: { end_ip: '192.0.2.30' },
    changed: { start_ip: '192.0.2.10', end_ip: '192.0.2.30' },
    needs: 'start_ip',
    wrong: [
      ['type', 'other', /not a valid choice/],
      ['end_ip', '192.0.2.5', /must not be less/],
      ['subnet', '999', /not one of the available/],
    ],
    open: true,
  },
  {
    path: 'static-routes/',
    create: { source: '1', destination: '198.51.100.0/24', gateway_ip: '192.0.2.1' },
    made: { gateway_ip: '192.0.2.1', metric: 0 },
    change: { metric: '7' },
    changed: { metric: 7, gateway_ip: '192.0.2.1' },
    needs: 'source',
    wrong: [
      ['gateway_ip', '198.51.100.1', /in source subnet/],
      ['destination', '1', /cannot be the same/],
    ],
  },
  {
    path: 'zones/',
    create: { name: 'north', description: 'cold' },
    made: { name: 'north', description: 'cold' },
    change: { description: 'warm' },
    changed: { name: 'north', description: 'warm' },
    needs: 'name',
    unique: 'name',
  },
  {
    path: 'resourcepools/',
    create: { name: 'gpu', description: 'fast' },
    made: { name: 'gpu', description: 'fast' },
    change: { description: 'faster' },
    changed: { name: 'gpu', description: 'faster' },
    needs: 'name',
    unique: 'name',
  },
  {
    path: 'domains/',
    create: { name: 'example.org', authoritative: 'true', ttl: '60' },
    made: { name: 'example.org', authoritative: true, ttl: 60, resource_record_count: 0, is_default: false },
    change: { ttl: '' },
    changed: { ttl: null, name: 'example.org' },
    needs: 'name',
    unique: 'name',
    wrong: [
      ['name', '.x', /Invalid name/],
      ['ttl', '0', /greater than or equal to 1/],
    ],
  },
  {
    path: 'dnsresources/',
    create: { name: 'www', domain: 'maas', ip_addresses: '192.0.2.80 192.0.2.81', address_ttl: '0' },
    made: { fqdn: 'www.maas', address_ttl: 0, resource_records: [] },
    change: { fqdn: 'web.maas' },
    changed: { fqdn: 'web.maas' },
    needs: 'name',
    unique: 'fqdn',
    wrong: [
      ['domain', 'nowhere', /not one of the available/],
      ['fqdn', 'www.nowhere', /No domain/],
      ['ip_addresses', 'x', /valid IPv4/],
    ],
  },
  {
    path: 'dnsresourcerecords/',
    create: { fqdn: 'mail.maas', rrtype: 'MX', rrdata: '10 web.maas.', ttl: '0' },
    made: { fqdn: 'mail.maas', rrtype: 'MX', rrdata: '10 web.maas.', ttl: 0 },
    change: { rrdata: '20 web.maas.' },
    changed: { rrtype: 'MX', rrdata: '20 web.maas.', fqdn: 'mail.maas' },
    needs: 'rrdata',
    wrong: [['rrtype', 'A', /not a valid choice/]],
  },
  {
    path: 'tags/',
    create: { name: 'accountid_4f0b-1', comment: 'whose' },
    made: { name: 'accountid_4f0b-1', comment: 'whose', definition: '', kernel_opts: '' },
    change: { kernel_opts: 'quiet' },
    changed: { name: 'accountid_4f0b-1', kernel_opts: 'quiet' },
    needs: 'name',
    unique: 'name',
    wrong: [['name', 'a b', /Invalid name/]],
  },
  {
    path: 'devices/',
    create: { hostname: 'box.maas', mac_addresses: ['52:54:00:AA:00:01', '52:54:00:aa:00:02'] },
    made: { hostname: 'box', fqdn: 'box.maas', parent: null, node_type: 1, pool: null, tag_names: [] },
    change: { description: 'a container' },
    changed: { hostname: 'box', description: 'a container' },
    needs: 'mac_addresses',
    unique: 'mac_addresses',
    wrong: [
      ['mac_addresses', 'x', /not a valid MAC/],
      ['domain', 'nowhere', /not one of the available/],
      ['zone', 'nowhere', /not one of the available/],
    ],
    open: true,
  },
  {
    path: 'account/prefs/sshkeys/',
    create: { key: sshKey },
    made: { key: sshKey, keysource: null },
    change: null,
    needs: 'key',
    unique: 'key',
    wrong: [
      ['key', 'ssh-rsa AAAA me', /Invalid SSH public key/],
      ['key', `${sshKey}\nssh-rsa AAAA`, /Invalid SSH public key/],
    ],
    status: 201,
    open: true,
  },
  {
    path: 'account/prefs/sslkeys/',
    create: { key: '-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----' },
    made: { key: '-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----' },
    change: null,
    needs: 'key',
    wrong: [['key', 'x', /Invalid SSL key/]],
    status: 201,
    open: true,
  },
  {
    path: 'boot-sources/',
    create: { url: 'http://images.example/', keyring_data: 'AAAA' },
    made: { url: 'http://images.example/', keyring_data: 'AAAA', keyring_filename: '' },
    change: { keyring_filename: '/k' },
    changed: { url: 'http://images.example/', keyring_filename: '/k' },
    needs: 'url',
    unique: 'url',
    wrong: [['url', 'nowhere', /valid URL/]],
    status: 201,
  },
  {
    path: 'package-repositories/',
    create: { name: 'ours', url: 'http://deb.example', arches: 'amd64, arm64' },
    made: { name: 'ours', arches: ['amd64', 'arm64'], enabled: true, components: [] },
    change: { enabled: 'false' },
    changed: { name: 'ours', enabled: false },
    needs: 'url',
    unique: 'name',
  },
  {
    path: 'dhcp-snippets/',
    create: { name: 'one', value: 'option x 1;' },
    made: { name: 'one', value: 'option x 1;', enabled: true, subnet: null, node: null },
    change: { enabled: '0' },
    changed: { name: 'one', enabled: false },
    needs: 'value',
  },
  {
    path: 'license-keys/',
    create: { osystem: 'windows', distro_series: 'win2022', license_key: 'AAAAA' },
    made: { osystem: 'windows', distro_series: 'win2022', license_key: 'AAAAA' },
    change: { license_key: 'BBBBB' },
    changed: { osystem: 'windows', license_key: 'BBBBB' },
    needs: 'license_key',
    unique: 'distro_series',
  },
  {
    path: 'reservedips/',
    create: { ip: '192.0.2.99', mac_address: '52:54:00:00:00:99', subnet: '1' },
    made: { ip: '192.0.2.99', mac_address: '52:54:00:00:00:99' },
    change: { comment: 'printer' },
    changed: { ip: '192.0.2.99', comment: 'printer' },
    needs: 'ip',
    unique: 'ip',
    wrong: [['subnet', '999', /not one of the available/]],
  },
];

describe('MAAS API: collections that clients keep', () => {
  const maas = new MaasService();
  let tenant: OAuthKey;
  before(async () => {
    await maas.start();
    tenant = await maas.newUser('tenant');
    // What the table refers to.
    await ok(maas.post('subnets/', { cidr: '198.51.100.0/24' }));
  });
  after(() => maas.dispose());

  const ok = async (answer: Promise<MaasAnswer>, status = 200): Promise<Thing> => {
    const found = await answer;
    assert.equal(found.status, status, found.text);
    return found.json as Thing;
  };
  const list = async (path: string, key?: OAuthKey): Promise<readonly Thing[]> =>
    (await ok(maas.get(path, key && { key }))) as unknown as readonly Thing[];
  const put = (uri: string, form: Form, key?: OAuthKey): Promise<MaasAnswer> => {
    const entries = Object.entries(form).flatMap(([name, value]) =>
      [value].flat().map((one) => [name, one] as const),
    );
    return maas.call('PUT', uri, { form: entries, ...(key && { key }) });
  };
  const assertSays = (found: Thing, wanted: Thing): void => {
    assert.deepEqual(Object.fromEntries(Object.keys(wanted).map((name) => [name, found[name]])), wanted);
  };
  const refusedFor = (answer: MaasAnswer, field: string, says: RegExp): void => {
    assert.equal(answer.status, 400, answer.text);
    const about = (answer.json as Readonly<Record<string, string[]>> | undefined)?.[field];
    assert.match(about?.join(' ') ?? answer.text, says);
  };

  for (const one of collections) {
    const { path, create, made, change, status = 200 } = one;
    it(`${path} makes, shows, changes and deletes`, async () => {
      const key = one.open ? tenant : undefined;
      const before = await list(path, key);
      if (!one.open) {
        const refused = await maas.post(path, create, { key: tenant });
        assert.equal(refused.status, 403, 'only administrators may make one');
      }
      if (one.needs !== undefined) {
        const rest = Object.fromEntries(Object.entries(create).filter(([name]) => name !== one.needs));
        refusedFor(await maas.post(path, rest, key && { key }), one.needs, /This field is required/);
      }
      for (const [field, value, says] of one.wrong ?? [])
        refusedFor(await maas.post(path, { ...create, [field]: value }, key && { key }), field, says);
      assert.deepEqual(await list(path, key), before, 'what was refused is not there');

      const thing = await ok(maas.post(path, create, key && { key }), status);
      assertSays(thing, made);
      const uri = String(thing['resource_uri']);
      assert.match(uri, /^\/MAAS\/api\/2\.0\//);
      assert.equal(
        new Set(['id', 'name', 'system_id', 'license_key'].filter((name) => name in thing)).size > 0,
        true,
      );
      assert.deepEqual(await ok(maas.get(uri, key && { key })), thing);
      const listed = await list(path, key);
      assert.equal(listed.length, before.length + 1);
      assert.deepEqual(
        listed.find((each) => each['resource_uri'] === uri),
        thing,
      );
      if (one.unique !== undefined)
        refusedFor(await maas.post(path, create, key && { key }), one.unique, /already/);

      if (change) {
        if (!one.open) assert.equal((await put(uri, change, tenant)).status, 403);
        const answer = await ok(put(uri, change, key));
        assertSays(answer, one.changed!);
        // gomaasapi refuses the answer to a PUT without it.
        assert.equal(typeof answer['resource_uri'], 'string');
        assert.deepEqual(await ok(maas.get(String(answer['resource_uri']), key && { key })), answer);
        if (one.needs !== undefined && one.path !== 'devices/' && one.path !== 'dnsresources/')
          refusedFor(await put(uri, { [one.needs]: '' }, key), one.needs, /This field is required/);
      } else {
        assert.equal((await put(uri, create, key)).status, 405);
      }
      if (!one.open) assert.equal((await maas.call('DELETE', uri, { key: tenant })).status, 403);
      const gone = await maas.call('DELETE', uri, key && { key });
      assert.equal(gone.status, 204, gone.text);
      assert.equal(gone.text, '');
      for (const method of ['GET', 'DELETE']) {
        const missing = await maas.call(method, uri, key && { key });
        assert.equal(missing.status, 404);
        assert.match(missing.text, /^No \w+ matches the given query\.$/);
      }
      assert.deepEqual(await list(path, key), before);
    });
  }

  it('keep what belongs to one user from the others', async () => {
    const key = await ok(maas.post('account/prefs/sshkeys/', { key: sshKey }, { key: tenant }), 201);
    const uri = String(key['resource_uri']);
    assert.deepEqual(await list('account/prefs/sshkeys/'), []);
    assert.equal((await maas.get(uri)).status, 404);
    assert.equal((await maas.call('DELETE', uri)).status, 404);
    const range = { type: 'reserved', start_ip: '198.51.100.10', end_ip: '198.51.100.11' };
    const other = await ok(maas.post('ipranges/', range));
    assert.equal((await put(String(other['resource_uri']), { comment: 'mine' }, tenant)).status, 403);
    const device = await ok(maas.post('devices/', { mac_addresses: '52:54:00:aa:00:09' }));
    assert.equal((await put(String(device['resource_uri']), { hostname: 'mine' }, tenant)).status, 403);
    assert.equal((await maas.call('DELETE', String(device['resource_uri']), { key: tenant })).status, 403);
    assert.equal((await maas.call('DELETE', String(other['resource_uri']), { key: tenant })).status, 403);
  });

  it('refuse to import keys: there is no way to the net', async () => {
    const answer = await maas.post('account/prefs/sshkeys/?op=import', { keysource: 'gh:somebody' });
    assert.equal(answer.status, 400);
    assert.equal(answer.text, 'Unrecognised signature: method=POST op=import');
  });
});
