import assert from 'node:assert/strict';
import { Secret } from '../../../plugin-api/index.ts';
import type { Tx } from '../../../src/core/storage/storage.ts';
import type { OAuthKey } from '../../../src/wire/oauth/api-key.ts';
import { machine, machineId, mac, operation, port, switchRecord } from '../../store/samples.ts';
import { MaasService, type MaasAnswer } from './maas-service.ts';

type Thing = Readonly<Record<string, unknown>>;
type Things = readonly Thing[];

const free = { cloudPlace: null, quarantine: null, bmc: null } as const;

/** Two wired machines, of which CloudStack hands one out, an image, and what happened so far. */
async function furnish(tx: Tx): Promise<void> {
  await tx.racks.replace(
    '',
    [{ ...switchRecord('tor-a'), fabric: 'berlin', provisioning: 'default-vlan', password: new Secret('x') }],
    [{ mac: mac(1), switch: 'tor-a', port: port('te1/1'), server: null }],
  );
  await tx.machines.insert(machine(1, { ...free, hostname: 'node-1' }));
  await tx.machines.insert(machine(2, { bmc: null, quarantine: null, hostname: 'node-2' }));
  for (const [n, at] of [
    [1, 1_000],
    [2, 2_000],
    [1, 3_000],
  ] as const)
    await tx.journal.insert(
      operation(`op-${at}`, n, {
        kind: 'start',
        state: 'done',
        createdAt: at,
        endedAt: at + 500,
        error: null,
      }),
    );
  await tx.alarms.insert({ id: 'a1', at: 4_000, code: 'port.drift', machineId: machineId(1), text: 'te1/1' });
  await tx.images.insert({
    name: 'debian-12',
    aliases: ['ubuntu/jammy'],
    canBond: true,
    firstBoot: 'nocloud',
    rawBytes: 2 ** 31,
    encoding: 'zstd',
    storedBytes: 1_000,
    sha256: 'ab'.repeat(32),
    file: 'image-1.zst',
    createdAt: Date.UTC(2026, 0, 2),
    version: 1,
  });
}

describe('MAAS API: collections in use', () => {
  const maas = new MaasService();
  let tenant: OAuthKey;
  before(async () => {
    await maas.start();
    tenant = await maas.newUser('tenant');
    await maas.admin.offline(furnish);
  });
  after(() => maas.dispose());

  const ok = async <T = Thing>(answer: Promise<MaasAnswer>, status = 200): Promise<T> => {
    const found = await answer;
    assert.equal(found.status, status, found.text);
    return found.json as T;
  };
  const get = <T = Thing>(path: string, key?: OAuthKey): Promise<T> => ok<T>(maas.get(path, key && { key }));
  const names = (things: Things): readonly unknown[] => things.map(({ name }) => name);
  const refused = async (answer: Promise<MaasAnswer>, status: number, says: RegExp): Promise<void> => {
    const found = await answer;
    assert.equal(found.status, status, found.text);
    assert.match(found.text, says);
  };
  const put = (uri: string, form: Readonly<Record<string, string>>): Promise<MaasAnswer> =>
    maas.call('PUT', uri, { form: Object.entries(form) });
  const remove = (uri: string): Promise<MaasAnswer> => maas.call('DELETE', uri);

  it('show the networks of the rack config, and keep machines able to boot', async () => {
    const fabrics = await get<Things>('fabrics/');
    assert.deepEqual(names(fabrics), ['fabric-0', 'berlin']);
    const vlans = fabrics[1]!['vlans'] as Things;
    const [untagged] = vlans;
    assert.deepEqual([untagged!['vid'], untagged!['dhcp_on'], untagged!['name']], [0, true, 'untagged']);
    const subnets = await get<Things>('subnets/');
    // CloudStack's plugin takes the first subnet with DHCP: that of real machines.
    const [first] = subnets.filter(({ vlan }) => (vlan as Thing)['dhcp_on']);
    assert.equal((first!['vlan'] as Thing)['fabric'], 'berlin');
    const rack = await get<Things>('rackcontrollers/');
    assert.equal(untagged!['primary_rack'], rack[0]!['system_id']);

    await refused(remove('fabrics/berlin/'), 400, /rack config declares this fabric/);
    await refused(remove('fabrics/fabric-0/'), 400, /default fabric/);
    await refused(put('fabrics/berlin/', { name: 'x' }), 400, /rack config names/);
    await refused(remove(`vlans/${untagged!['id'] as number}/`), 400, /default VLAN/);
    await refused(put('fabrics/berlin/vlans/0/', { vid: '7' }), 400, /Machines boot/);
    await refused(remove(String(first!['resource_uri'])), 400, /Machines boot/);
    await refused(put(String(first!['resource_uri']), { fabric: 'fabric-0' }), 400, /Machines boot/);
    const told = await ok(put(String(first!['resource_uri']), { cidr: '10.11.0.0/16' }));
    assert.equal(told['cidr'], '10.11.0.0/16');
  });

  it('show one VLAN at both of its addresses, and what falls to others when it goes', async () => {
    const space = await ok(maas.post('spaces/', { name: 'dmz' }));
    const vlan = await ok(maas.post('fabrics/berlin/vlans/', { vid: '100', space: 'dmz' }));
    const uri = String(vlan['resource_uri']);
    assert.equal(uri, `/MAAS/api/2.0/vlans/${vlan['id'] as number}/`);
    assert.deepEqual(await get('fabrics/berlin/vlans/100/'), vlan);
    assert.deepEqual(await get(uri), vlan);
    const subnet = await ok(maas.post('subnets/', { cidr: '10.100.0.0/24', vlan: String(vlan['id']) }));
    assert.equal(subnet['space'], 'dmz');
    const other = await ok(maas.post('subnets/', { cidr: '10.101.0.0/24', fabric: 'berlin', vid: '100' }));
    assert.deepEqual(other['vlan'], subnet['vlan']);
    const inside = await get(`spaces/${space['id'] as number}/`);
    assert.deepEqual(names(inside['subnets'] as Things), ['10.100.0.0/24', '10.101.0.0/24']);
    const outside = await get('spaces/-1/');
    assert.equal(outside['name'], 'undefined');
    assert.deepEqual(
      (await get<Things>('spaces/')).map(({ id }) => id),
      [-1, space['id']],
    );
    await refused(remove('spaces/-1/'), 400, /undefined space/);
    await ok(remove('spaces/dmz/'), 204);
    assert.equal((await get(uri))['space'], 'undefined');
    for (const found of ['10.100.0.0/24', 'name:10.100.0.0/24', String(subnet['id'])])
      assert.equal((await get(`subnets/${encodeURIComponent(found)}/`))['id'], subnet['id']);
    await ok(remove('fabrics/berlin/vlans/100/'), 204);
    const fallen = await get(String(subnet['resource_uri']));
    assert.equal((fallen['vlan'] as Thing)['vid'], 0);
    await ok(remove(String(subnet['resource_uri'])), 204);
    await ok(remove(String(other['resource_uri'])), 204);
  });

  it('count the addresses of a subnet', async () => {
    const subnet = await ok(maas.post('subnets/', { cidr: '10.9.0.0/29', gateway_ip: '10.9.0.1' }));
    const uri = String(subnet['resource_uri']);
    await ok(maas.post('ipranges/', { type: 'dynamic', start_ip: '10.9.0.4', end_ip: '10.9.0.5' }));
    const overlapping = { type: 'reserved', start_ip: '10.9.0.5', end_ip: '10.9.0.6' };
    await refused(maas.post('ipranges/', overlapping), 400, /conflicts/);
    await refused(
      maas.post('ipranges/', { ...overlapping, type: 'dynamic' }, { key: tenant }),
      403,
      /privileges/,
    );
    const reserved = await ok(
      maas.post('ipaddresses/?op=reserve', { subnet: '10.9.0.0/29' }, { key: tenant }),
    );
    assert.equal(reserved['ip'], '10.9.0.2');
    const again = { ip: '10.9.0.2' };
    await refused(maas.post('ipaddresses/?op=reserve', again), 404, /already in use/);
    await refused(maas.post('ipaddresses/?op=reserve', { ip: 'x' }), 400, /valid IPv4/);
    assert.deepEqual(await get<Things>('ipaddresses/'), []);
    assert.equal((await get<Things>('ipaddresses/?all=true')).length, 1);
    assert.equal((await maas.get('ipaddresses/?all=true', { key: tenant })).status, 403);
    assert.deepEqual(await get(`${uri}?op=statistics`), {
      num_available: 2,
      largest_available: 1,
      num_unavailable: 4,
      total_addresses: 6,
      usage: 4 / 6,
      usage_string: '67%',
      available_string: '33%',
      first_address: '10.9.0.1',
      last_address: '10.9.0.6',
      ip_version: 4,
    });
    const ranges = (await get<Things>(`${uri}?op=reserved_ip_ranges`)).map(
      ({ start, end, purpose }) => `${String(start)}-${String(end)} ${(purpose as string[]).join()}`,
    );
    assert.deepEqual(ranges, [
      '10.9.0.1-10.9.0.1 gateway-ip',
      '10.9.0.2-10.9.0.2 assigned-ip',
      '10.9.0.4-10.9.0.5 dynamic',
    ]);
    assert.deepEqual(
      (await get<Things>(`${uri}?op=unreserved_ip_ranges`)).map(({ start }) => start),
      ['10.9.0.3', '10.9.0.6'],
    );
    assert.deepEqual(await get(`${uri}?op=ip_addresses`), [
      { ip: '10.9.0.2', alloc_type: 4, user: 'tenant' },
    ]);
    await refused(maas.post('ipaddresses/?op=release', again), 404, /could not be found/);
    await refused(
      maas.post('ipaddresses/?op=release', { ...again, force: 'true' }, { key: tenant }),
      403,
      /admin/,
    );
    await ok(maas.post('ipaddresses/?op=release', again, { key: tenant }), 204);
    await ok(remove(uri), 204);
    assert.deepEqual(await get('ipranges/'), []);
  });

  it('tag machines and devices, and forget tags that are gone', async () => {
    await ok(maas.post('tags/', { name: 'a' }));
    const device = await ok(maas.post('devices/', { mac_addresses: '52:54:00:bb:00:01' }));
    const ids = [machineId(1), machineId(2), String(device['system_id']), 'nobody'];
    const counted = await ok(maas.post('tags/a/?op=update_nodes', { add: ids, remove: 'none' }));
    assert.deepEqual(counted, { added: 3, removed: 0 });
    await refused(maas.post('tags/a/?op=update_nodes', { add: ids }, { key: tenant }), 403, /admin/);
    await refused(maas.post('tags/a/?op=update_nodes', { definition: '//x' }), 409, /doesn't match/);
    const hostnames = (things: Things): readonly unknown[] => things.map(({ hostname }) => hostname);
    assert.deepEqual(hostnames(await get<Things>('tags/a/?op=machines')), ['node-1', 'node-2']);
    assert.deepEqual(
      hostnames(await get<Things>('tags/a/?op=machines', tenant)),
      ['node-1'],
      'not CloudStack’s',
    );
    assert.equal((await get<Things>('tags/a/?op=nodes')).length, 3);
    assert.equal((await get<Things>('tags/a/?op=devices')).length, 1);
    assert.deepEqual(await get('tags/a/?op=rack_controllers'), []);
    await ok(put('tags/a/', { name: 'b' }));
    assert.deepEqual((await get(`machines/${machineId(1)}/`))['tag_names'], ['b']);
    const removed = await ok(maas.post('tags/b/?op=update_nodes', { remove: machineId(1) }));
    assert.deepEqual(removed, { added: 0, removed: 1 });
    await ok(remove('tags/b/'), 204);
    assert.deepEqual((await get(`machines/${machineId(2)}/`))['tag_names'], []);
    assert.deepEqual((await get(String(device['resource_uri'])))['tag_names'], []);
    await refused(maas.get('tags/b/?op=machines'), 404, /^No Tag matches/);
  });

  it('move machines along with names of zones, and with none to the default', async () => {
    await ok(maas.post('zones/', { name: 'north' }));
    await ok(put(`machines/${machineId(1)}/`, { zone: 'north' }));
    await ok(put('zones/north/', { name: 'south' }));
    const zoneOf = async (): Promise<unknown> =>
      ((await get(`machines/${machineId(1)}/`))['zone'] as Thing)['name'];
    assert.equal(await zoneOf(), 'south');
    await ok(remove('zones/south/'), 204);
    assert.equal(await zoneOf(), 'default');
    await refused(remove('zones/default/'), 400, /default zone/);
    await refused(put('zones/default/', { name: 'x' }), 400, /default zone/);
    await refused(remove('domains/maas/'), 400, /default domain/);
    const made = await ok(maas.post('domains/', { name: 'lab' }));
    await ok(maas.post('dnsresources/', { fqdn: 'a.lab', ip_addresses: '192.0.2.1' }));
    assert.equal((await get('domains/lab/'))['resource_record_count'], 1);
    await refused(remove('domains/lab/'), 400, /names are in it/);
    const standard = await ok(maas.post(`domains/${made['id'] as number}/?op=set_default`));
    assert.equal(standard['is_default'], true);
    assert.equal((await get('domains/maas/'))['is_default'], false);
    await refused(maas.post('domains/?op=set_serial', { serial: '0' }), 400, /serial/);
    await ok(maas.post('domains/?op=set_serial', { serial: '7' }));
  });

  it('have pools at three addresses, and the default one always', async () => {
    const pools = await get<Things>('resourcepools/');
    assert.deepEqual(names(pools).toSorted(), ['default']);
    assert.deepEqual(await get('pools/'), pools);
    for (const uri of ['resourcepool/default/', 'resourcepool/0/', String(pools[0]!['resource_uri'])])
      assert.equal((await get(uri))['name'], 'default');
    await refused(remove('resourcepool/default/'), 400, /default pool/);
    const gpu = await ok(maas.post('pools/', { name: 'gpu' }));
    await ok(put(`machines/${machineId(1)}/`, { pool: 'gpu' }));
    await refused(remove(String(gpu['resource_uri'])), 409, /in the pool gpu/);
    assert.equal((await ok(put(String(gpu['resource_uri']), { name: 'cpu' })))['name'], 'cpu');
    assert.equal(((await get(`machines/${machineId(1)}/`))['pool'] as Thing)['name'], 'cpu');
  });

  it('give devices interfaces at the addresses of nodes', async () => {
    const device = await ok(
      maas.post('devices/', { mac_addresses: '52:54:00:CC:00:01', parent: machineId(1) }),
    );
    assert.equal(device['parent'], machineId(1));
    const nics = `nodes/${String(device['system_id'])}/interfaces/`;
    const [first] = await get<Things>(nics);
    const [, second] = await get<Things>('subnets/');
    const made = await ok(
      maas.post(`${nics}?op=create_physical`, {
        name: 'eth9',
        mac_address: '52:54:00:cc:00:09',
        vlan: String((second!['vlan'] as Thing)['id']),
      }),
    );
    assert.equal(made['type'], 'physical');
    const linked = await ok(
      maas.post(`${nics}${made['id'] as number}/?op=link_subnet`, {
        mode: 'STATIC',
        subnet: String(second!['id']),
        ip_address: String(second!['cidr']).replace('0/16', '9').replace('0/24', '9'),
      }),
    );
    const [link] = linked['links'] as Things;
    assert.equal(link!['mode'], 'static');
    assert.deepEqual((await get(String(device['resource_uri'])))['ip_addresses'], [link!['ip_address']]);
    const who = (await get<Things>(`subnets/${second!['id'] as number}/?op=ip_addresses`))[0]!;
    assert.equal((who['node_summary'] as Thing)['system_id'], device['system_id']);
    assert.equal((await ok(put(`${nics}eth9/`, { name: 'eth8' })))['name'], 'eth8');
    await refused(maas.post(`${nics}?op=create_bond`, { name: 'b' }), 409, /physical interfaces only/);
    await refused(
      maas.post(`${nics}?op=create_physical`, { mac_address: '52:54:00:cc:00:0a' }, { key: tenant }),
      403,
      /./,
    );
    await ok(remove(`${nics}${made['id'] as number}/`), 204);
    assert.deepEqual(await get(nics), [first]);
    const noted = await ok(
      maas.post(`${String(device['resource_uri'])}?op=set_owner_data`, { a: '1', b: '2' }),
    );
    assert.deepEqual(noted['owner_data'], { a: '1', b: '2' });
    assert.equal((await get<Things>('devices/?mac_address=52:54:00:CC:00:01')).length, 1);
    assert.equal((await get<Things>('devices/?hostname=other')).length, 0);
    await refused(maas.post('devices/', { mac_addresses: mac(1) }), 400, /already in use on node-1/);
  });

  it('keep files for their users', async () => {
    const boundary = 'b';
    const part = (head: string, body: string): string =>
      `--${boundary}\r\nContent-Disposition: form-data; ${head}\r\n\r\n${body}\r\n`;
    const body =
      part('name="filename"', 'provider-state') +
      part('name="file"; filename="file"', 'a\0b') +
      `--${boundary}--\r\n`;
    const type = `multipart/form-data; boundary=${boundary}`;
    assert.equal((await maas.call('POST', 'files/?op=', { body, type, key: tenant })).status, 201);
    const [file] = await get<Things>('files/', tenant);
    assert.equal(file!['filename'], 'provider-state');
    assert.deepEqual(await get('files/'), []);
    const whole = await get('files/provider-state/', tenant);
    assert.equal(whole['content'], Buffer.from('a\0b').toString('base64'));
    const raw = await maas.get('files/?op=get&filename=provider-state', { key: tenant });
    assert.equal(raw.headers.get('content-type'), 'application/octet-stream');
    assert.equal(raw.text, 'a\0b');
    const open = await maas.get(String(file!['anon_resource_uri']), { key: null });
    assert.equal(open.text, 'a\0b');
    await refused(maas.get('files/?op=get_by_key&key=x', { key: null }), 404, /^Not Found$/);
    await refused(maas.get('files/provider-state/'), 404, /^Not Found$/);
    await refused(maas.post('files/', { file: 'x' }), 400, /Filename not supplied/);
    await refused(maas.post('files/', { filename: 'x' }), 400, /File not supplied/);
    await refused(maas.post('files/', { filename: 'x', file: 'y'.repeat(41_000) }), 400, /40 KiB/);
    assert.deepEqual(await get('files/?prefix=other', tenant), []);
    assert.equal((await maas.call('DELETE', 'files/provider-state/', { key: tenant })).status, 204);
    assert.deepEqual(await get('files/', tenant), []);
  });

  it('tell what happened, page by page', async () => {
    interface Page {
      readonly count: number;
      readonly events: readonly { readonly id: number; readonly type: string; readonly hostname: string }[];
      readonly next_uri: string;
      readonly prev_uri: string;
    }
    const first = await get<Page>('events/?op=query&limit=2');
    assert.deepEqual(
      first.events.map(({ type }) => type),
      ['Alarm', 'Deployed'],
    );
    const types: string[] = [];
    for (let page = first; page.count > 0; page = await get<Page>(page.prev_uri))
      types.push(...page.events.map(({ type, hostname }) => `${type} ${hostname}`));
    assert.deepEqual(types, [
      'Alarm node-1',
      'Deployed node-1',
      'Deploying node-1',
      'Deployed node-2',
      'Deploying node-2',
      'Deployed node-1',
      'Deploying node-1',
    ]);
    const second = await get<Page>(first.prev_uri);
    assert.deepEqual(await get<Page>(second.next_uri), {
      ...first,
      next_uri: (await get<Page>(second.next_uri)).next_uri,
    });
    assert.equal((await get<Page>(first.next_uri)).count, 0);
    assert.equal((await get<Page>('events/?op=query', tenant)).count, 5, 'not of CloudStack’s machines');
    assert.equal((await get<Page>('events/?op=query&level=WARNING')).count, 1);
    assert.equal((await get<Page>('events/?op=query&hostname=node-2')).count, 2);
    assert.equal((await get<Page>('events/?op=query&id=none')).count, 0);
    assert.match((await maas.get('events/?op=query')).text, /Thu, 01 Jan. 1970 00:00:0/);
    await refused(maas.get('events/?op=query&limit=1001'), 400, /greater than limit: 1000/);
    await refused(maas.get('events/?op=query&limit=x'), 400, /Invalid limit/);
    await refused(maas.get('events/?op=query&level=LOUD'), 400, /log level/);
  });

  it('tell the images, and this service as the controller that has them', async () => {
    const [image, ...others] = await get<Things>('boot-resources/');
    assert.deepEqual(others, []);
    assert.equal(image!['name'], 'ubuntu/jammy');
    assert.equal(image!['architecture'], 'amd64/generic');
    assert.deepEqual(await get('boot-resources/?type=synced'), []);
    await refused(maas.get('boot-resources/?type=x'), 400, /not a valid boot resource type/);
    assert.equal((await maas.get('boot-resources/?op=is_importing')).text.trim(), 'false');
    const whole = await get(String(image!['resource_uri']));
    assert.deepEqual(Object.keys(whole['sets'] as Thing), ['20260102']);
    assert.equal((await maas.post('boot-resources/?op=import')).status, 405);
    await refused(maas.get('boot-resources/99/'), 404, /^No BootResource matches/);

    const [rack] = await get<Things>('rackcontrollers/');
    const uri = String(rack!['resource_uri']);
    assert.deepEqual(await get(uri), rack);
    const { images } = await get<{ images: Things }>(`${uri}?op=list_boot_images`);
    // CloudStack's plugin looks for its template's name among them.
    for (const template of ['debian-12', 'jammy'])
      assert.ok(names(images).some((name) => String(name).includes(template)));
    const [region] = await get<Things>('regioncontrollers/');
    assert.equal(region!['system_id'], rack!['system_id']);
    assert.deepEqual(await get('rackcontrollers/?id=other'), []);
    assert.equal((await get<Things>('rackcontrollers/?op=describe_power_types'))[0]!['name'], 'ipmi');
    await ok(maas.post('rackcontrollers/?op=import_boot_images'), 202);
    await refused(maas.get('rackcontrollers/other/'), 404, /^No RackController matches/);

    assert.equal(await get('maas/?op=get_config&name=default_distro_series'), 'jammy');
    assert.equal(await get('maas/?op=get_config&name=node_timeout'), 30);
    const set = await maas.post('maas/?op=set_config', { name: 'node_timeout', value: '60' });
    assert.equal(set.text, 'OK');
    assert.equal(await get('maas/?op=get_config&name=node_timeout', tenant), 60);
    await refused(
      maas.post('maas/?op=set_config', { name: 'node_timeout', value: 'x' }),
      400,
      /whole number/,
    );
    await refused(
      maas.post('maas/?op=set_config', { name: 'constructor', value: 'x' }),
      400,
      /not a valid config/,
    );
    await refused(maas.get('maas/?op=get_config&name=vcenter_password', { key: tenant }), 403, /admin/);
    await ok(remove(String(image!['resource_uri'])), 204);
    assert.deepEqual(await get('boot-resources/'), []);
  });

  it('keep the selections of an address of images with it', async () => {
    const source = await ok(maas.post('boot-sources/', { url: 'http://images.example/' }), 201);
    const path = `boot-sources/${source['id'] as number}/selections/`;
    const made = await ok(
      maas.post(path, { os: 'ubuntu', release: 'jammy', arches: ['amd64', 'arm64'] }),
      201,
    );
    assert.deepEqual(made['arches'], ['amd64', 'arm64']);
    assert.deepEqual(await get(path), [made]);
    assert.deepEqual(await get('boot-sources/99/selections/'), []);
    await refused(maas.post('boot-sources/99/selections/', { os: 'x', release: 'y' }), 404, /No BootSource/);
    await ok(remove(String(source['resource_uri'])), 204);
    await refused(maas.get(String(made['resource_uri'])), 404, /No BootSourceSelection/);
  });

  it('are empty where nothing can be in them', async () => {
    for (const path of ['discovery/', 'discovery/?op=by_unknown_mac', 'notifications/', 'scripts/'])
      assert.deepEqual(await get(path), []);
  });
});
