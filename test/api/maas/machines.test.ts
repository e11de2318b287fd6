import assert from 'node:assert/strict';
import { emptyProfile } from '../../../src/core/machine/profile.ts';
import type { TimelineEvent } from '../../../src/core/storage/timeline.ts';
import type { OAuthKey } from '../../../src/wire/oauth/api-key.ts';
import { claim, machine, machineId, mac } from '../../store/samples.ts';
import { freeMachine, reset, userClaim, userDeployment } from './machine-samples.ts';
import { until } from '../../support/until.ts';
import { MaasService } from './maas-service.ts';

interface Shown {
  readonly system_id: string;
  readonly hostname: string;
  readonly status: number;
  readonly status_name: string;
  readonly owner: string | null;
  readonly [key: string]: unknown;
}

/** Types of the fields that clients with strict schemas read: facts of gomaasapi and gomaasclient. */
const types: Readonly<Record<string, string>> = {
  system_id: 'string',
  resource_uri: 'string',
  hostname: 'string',
  fqdn: 'string',
  description: 'string',
  domain: 'object',
  hardware_uuid: 'string?',
  owner: 'string?',
  owner_data: 'object',
  workload_annotations: 'object',
  locked: 'boolean',
  architecture: 'string',
  min_hwe_kernel: 'string?',
  hwe_kernel: 'string?',
  cpu_count: 'int',
  cpu_speed: 'int',
  memory: 'int',
  swap_size: 'int?',
  storage: 'number',
  status: 'int',
  status_name: 'string',
  status_action: 'string',
  status_message: 'string?',
  osystem: 'string',
  distro_series: 'string',
  ephemeral_deploy: 'boolean',
  netboot: 'boolean',
  disable_ipv4: 'boolean',
  enable_hw_sync: 'boolean',
  error_description: 'string',
  power_type: 'string',
  power_state: 'string',
  bios_boot_method: 'string?',
  tag_names: 'array',
  address_ttl: 'int?',
  ip_addresses: 'array',
  boot_interface: 'object',
  interface_set: 'array',
  zone: 'object',
  pool: 'object',
  pod: 'object?',
  virtualmachine_id: 'int?',
  parent: 'object?',
  boot_disk: 'object?',
  physicalblockdevice_set: 'array',
  blockdevice_set: 'array',
  virtualblockdevice_set: 'array',
  volume_groups: 'array',
  raids: 'array',
  cache_sets: 'array',
  bcaches: 'array',
  special_filesystems: 'array',
  numanode_set: 'array',
  default_gateways: 'object',
  hardware_info: 'object',
  node_type: 'int',
  node_type_name: 'string',
  current_commissioning_result_id: 'int?',
  current_testing_result_id: 'int?',
  current_installation_result_id: 'int?',
  last_sync: 'string?',
  next_sync: 'string?',
  sync_interval: 'int?',
  ...Object.fromEntries(
    [
      'commissioning',
      'testing',
      'cpu_test',
      'memory_test',
      'network_test',
      'storage_test',
      'interface_test',
      'other_test',
    ].flatMap((test) => [
      [`${test}_status`, 'int'],
      [`${test}_status_name`, 'string'],
    ]),
  ),
};

const interfaceTypes: Readonly<Record<string, string>> = {
  system_id: 'string',
  id: 'int',
  resource_uri: 'string',
  name: 'string',
  type: 'string',
  mac_address: 'string',
  enabled: 'boolean',
  vlan: 'object?',
  parents: 'array',
  children: 'array',
  tags: 'array',
  links: 'array',
  params: 'any',
  discovered: 'array?',
  effective_mtu: 'int',
  vendor: 'string?',
  product: 'string?',
  firmware_version: 'string?',
  link_connected: 'boolean',
  interface_speed: 'int',
  link_speed: 'int',
  numa_node: 'int?',
  sriov_max_vf: 'int',
};

const diskTypes: Readonly<Record<string, string>> = {
  system_id: 'string',
  id: 'int',
  name: 'string',
  uuid: 'string?',
  type: 'string',
  path: 'string',
  model: 'string?',
  serial: 'string?',
  id_path: 'string?',
  size: 'int',
  block_size: 'int',
  available_size: 'int',
  used_size: 'int',
  used_for: 'string',
  tags: 'array',
  filesystem: 'object?',
  partition_table_type: 'string?',
  partitions: 'array',
  firmware_version: 'string?',
  storage_pool: 'object?',
  numa_node: 'int',
  resource_uri: 'string',
};

const vlanTypes: Readonly<Record<string, string>> = {
  id: 'int',
  vid: 'int',
  name: 'string',
  fabric: 'string',
  fabric_id: 'int',
  mtu: 'int',
  dhcp_on: 'boolean',
  external_dhcp: 'string?',
  relay_vlan: 'object?',
  primary_rack: 'string?',
  secondary_rack: 'string?',
  space: 'string',
  resource_uri: 'string',
};

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'int' : typeof value;
}

function hasTypes(object: unknown, wanted: Readonly<Record<string, string>>): void {
  const shown = object as Readonly<Record<string, unknown>>;
  assert.deepEqual(Object.keys(shown).sort(), Object.keys(wanted).sort());
  for (const [key, type] of Object.entries(wanted)) {
    const found = typeOf(shown[key]);
    const allowed = [type.replace('?', ''), ...(type.endsWith('?') ? ['null'] : [])];
    if (allowed.includes('number')) allowed.push('int');
    assert.ok(type === 'any' || allowed.includes(found), `${key} is ${found}, not ${type}`);
  }
}

describe('MAAS API: machines', function () {
  this.timeout(60_000);
  const maas = new MaasService();
  let anna: OAuthKey;
  let berta: OAuthKey;

  /**
   * 1 ready; 2 held by anna; 3 deployed by anna; 4 CloudStack's, held; 5 in a CloudStack, free; 6 ready in pool gpu; 7 new; 8 broken.
   */
  before(async () => {
    await maas.start();
    anna = await maas.newUser('anna');
    berta = await maas.newUser('berta');
    await maas.admin.storage.run(async (tx) => {
      for (const n of [1, 2]) await tx.machines.insert(freeMachine(n));
      await tx.machines.insert(freeMachine(3, { state: 'deployed', clean: null }));
      for (const n of [4, 5])
        await tx.machines.insert({ ...freeMachine(n), cloudPlace: machine(n).cloudPlace });
      await tx.machines.insert(freeMachine(6, { pool: 'gpu' }));
      await tx.machines.insert(freeMachine(7, { state: 'new', cpus: 0, clean: null }));
      await tx.machines.insert(
        freeMachine(8, { quarantine: { code: 'x', reason: 'its fan', fenced: false, since: 1 } }),
      );
      await tx.claims.insert(userClaim(2, 'anna'));
      await tx.claims.insert(userClaim(3, 'anna'));
      await tx.deployments.insert(userDeployment(3, 'anna'));
      await tx.claims.insert(claim(4));
      await tx.records.insert({ kind: 'tag', name: 'fast', owner: null, body: {} });
      await tx.profiles.save({ ...emptyProfile(machineId(6)), tags: ['fast'] });
    });
  });
  after(() => maas.dispose());

  const names = (machines: unknown): readonly string[] =>
    (machines as readonly Shown[]).map(({ hostname }) => hostname);
  async function list(query: string, key = maas.key): Promise<readonly string[]> {
    const { status, json, text } = await maas.get(`machines/${query}`, { key });
    assert.equal(status, 200, text);
    return names(json);
  }
  async function one(n: number): Promise<Shown> {
    return (await maas.get(`machines/${machineId(n)}/`)).json as Shown;
  }
  const at = (n: number, op = ''): string => `machines/${machineId(n)}/${op && `?op=${op}`}`;

  describe('shape', () => {
    it('has every field of MAAS, in the types that strict clients want', async () => {
      for (const n of [1, 2, 3, 4, 7, 8]) {
        const shown = await one(n);
        hasTypes(shown, types);
        const interfaces = shown['interface_set'] as readonly Record<string, unknown>[];
        assert.equal(interfaces.length, 2);
        for (const each of interfaces) {
          hasTypes(each, interfaceTypes);
          hasTypes(each['vlan'], vlanTypes);
        }
        for (const disk of shown['physicalblockdevice_set'] as readonly unknown[]) hasTypes(disk, diskTypes);
      }
    });

    it('tells a machine as MAAS would', async () => {
      const shown = await one(3);
      assert.equal(shown.status_name, 'Deployed');
      assert.equal(shown.owner, 'anna');
      assert.equal(shown['fqdn'], 'node-3.maas');
      assert.equal(shown['architecture'], 'amd64/generic');
      assert.deepEqual([shown['osystem'], shown['distro_series']], ['custom', 'debian-12']);
      assert.equal(shown['memory'], 3 * 1024);
      assert.equal(shown['resource_uri'], `/MAAS/api/2.0/machines/${machineId(3)}/`);
      const boot = shown['boot_interface'] as {
        readonly mac_address: string;
        readonly links: readonly { readonly subnet: object }[];
      };
      assert.equal(boot.mac_address, mac(3, 0));
      assert.ok(boot.links[0]!.subnet);
      assert.equal((await one(8))['error_description'], 'its fan');
      assert.equal((await one(8)).status_name, 'Broken');
    });
  });

  describe('list', () => {
    it('shows administrators everything, users what is free or theirs', async () => {
      assert.deepEqual(
        await list(''),
        [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `node-${n}`),
      );
      assert.deepEqual(
        await list('', anna),
        [1, 2, 3, 6, 7, 8].map((n) => `node-${n}`),
      );
      assert.deepEqual(
        await list('', berta),
        [1, 6, 7, 8].map((n) => `node-${n}`),
      );
      assert.equal((await maas.get(at(4), { key: anna })).status, 404);
      const { status, text } = await maas.get(at(2), { key: berta });
      assert.deepEqual([status, text], [404, 'No Machine matches the given query.']);
    });

    it('narrows by every filter', async () => {
      const cases: Readonly<Record<string, readonly number[]>> = {
        [`?id=${machineId(1)}&id=${machineId(6)}`]: [1, 6],
        [`?id=nosuch`]: [],
        '?hostname=node-2': [2],
        '?hostname=node-2.maas&hostname=node-3': [2, 3],
        '?not_hostname=node-2&pool=gpu': [6],
        [`?mac_address=${mac(3, 1).toUpperCase()}`]: [3],
        '?mac_address=52:54:00:99:99:99': [],
        '?pool=gpu': [6],
        '?pool=default&not_in_pool=gpu&cpu_count=7': [7, 8].filter((n) => n !== 7),
        '?not_pool=default': [6],
        '?tags=fast': [6],
        '?not_tags=fast&pool=gpu': [],
        '?zone=default&pool=gpu': [6],
        '?not_in_zone=default': [],
        '?arch=amd64&pool=gpu': [6],
        '?not_arch=amd64': [],
        '?mem=6000': [6, 7, 8],
        '?cpu_count=6': [6, 8],
        '?cpu_speed=1000': [],
        '?status=Ready': [1, 5, 6],
        '?status=4&status=10': [1, 2, 4, 5, 6],
        '?status=deployed': [3],
        '?not_status=4&not_status=10&not_status=0': [3, 8],
        '?simple_status=allocated': [2, 4],
        '?simple_status=broken&simple_status=new': [7, 8],
        '?owner=anna': [2, 3],
        '?not_owner=anna&cpu_count=6': [6, 8],
        '?power_state=off&hostname=node-1': [1],
        '?power_state=on': [],
        '?domain=maas&pool=gpu': [6],
        '?agent_name=juju': [],
        '?fabrics=fabric-0&pool=gpu': [6],
        '?not_fabrics=fabric-0': [],
        '?vlans=vid:0&pool=gpu': [6],
        '?subnets=cidr:192.0.2.0/24&pool=gpu': [6],
        '?link_speed=10000&pool=gpu': [6],
        '?link_speed=40000': [],
        '?storage=400(ssd)&pool=gpu': [6],
        '?storage=4000(rotary)': [],
        '?interfaces=a:fabric=fabric-0,mode=auto&pool=gpu': [6],
        '?interfaces=a:mode=static': [],
        '?pod=host1': [],
        '?deployment_target=memory': [],
        '?pool=': [1, 2, 3, 4, 5, 6, 7, 8],
      };
      for (const [query, wanted] of Object.entries(cases))
        assert.deepEqual(
          await list(query),
          wanted.map((n) => `node-${n}`),
          query,
        );
    });

    it('refuses names that there are none of', async () => {
      const cases: Readonly<Record<string, unknown>> = {
        '?tags=fast,slow': { tags: ["No such tag(s): 'slow'."] },
        '?not_tags=a b': { not_tags: ["No such tag(s): 'a', 'b'."] },
        '?zone=moon': { zone: ["No such zone: 'moon'."] },
        '?pool=nosuch': { pool: ["No such pool: 'nosuch'."] },
        '?mac_address=x': { mac_address: ['Invalid MAC address(es): x'] },
        '?mem=much': { mem: ['Invalid mem: number required.'] },
        '?status=tired': { status: ['Select a valid choice. tired is not one of the available choices.'] },
        '?storage=lots': { storage: ['Malformed storage constraint, "lots".'] },
        '?interfaces=a:colour=red': { interfaces: ['Unknown interfaces constraint, "colour".'] },
      };
      for (const [query, wanted] of Object.entries(cases)) {
        const { status, json } = await maas.get(`machines/${query}`);
        assert.deepEqual([status, json], [400, wanted], query);
      }
    });
  });

  describe('allocate and release', () => {
    afterEach(() =>
      maas.admin.storage.run(async (tx) => {
        await reset(tx, 1);
        await reset(tx, 6, { pool: 'gpu' });
      }),
    );

    it('gives the smallest machine that fits, and gives it once', async () => {
      const { status, json, text } = await maas.post('machines/?op=allocate', {}, { key: berta });
      assert.equal(status, 200, text);
      const { hostname, status_name, owner, constraints_by_type } = json as Shown;
      assert.deepEqual(
        [hostname, status_name, owner, constraints_by_type],
        ['node-1', 'Allocated', 'berta', {}],
      );
      const next = (await maas.post('machines/?op=allocate', { cpu_count: '1' }, { key: anna }))
        .json as Shown;
      assert.equal(next.hostname, 'node-6');
      const none = await maas.post('machines/?op=allocate', {}, { key: anna });
      assert.deepEqual(
        [none.status, none.text, none.headers.get('retry-after')],
        [409, 'No machine available.', null],
      );
    });

    it('passes over a machine whose BMC is in quarantine, and shows it as broken', async () => {
      const subject = { kind: 'bmc', name: machineId(1) } as const;
      await maas.admin.storage.run((tx) =>
        tx.quarantines.put({
          ...{ ...subject, code: 'power.auth', reason: 'another password', since: 1, by: 'csbm', count: 1 },
          ...{ lastAt: 1, liftedAt: null, liftedBy: null, liftedBecause: null },
        }),
      );
      try {
        const node = `machines/${machineId(1)}/`;
        const shown = (await maas.get(node)).json as Shown;
        assert.deepEqual(
          [shown.status, shown['status_message']],
          [8, `Withheld - ${shown['error_description'] as string}`],
        );
        assert.equal(shown['error_description'], 'its BMC is in quarantine: another password');
        const next = (await maas.post('machines/?op=allocate', {}, { key: anna })).json as Shown;
        assert.equal(next.hostname, 'node-6');
        const named = await maas.post('machines/?op=allocate', { name: 'node-1' }, { key: berta });
        assert.equal(named.status, 409, named.text);
        const fixed = await maas.post(`${node}?op=mark_fixed`, {});
        assert.equal(fixed.status, 409);
        assert.match(fixed.text, /its BMC is in quarantine/);
      } finally {
        await maas.admin.storage.run((tx) => tx.quarantines.forget(subject));
      }
      assert.equal(((await maas.get(`machines/${machineId(1)}/`)).json as Shown).status_name, 'Ready');
    });

    it('many at once never get the same machine', async () => {
      const answers = await Promise.all(
        Array.from({ length: 6 }, (_, i) =>
          maas.post('machines/?op=allocate', {}, { key: i % 2 ? anna : berta }),
        ),
      );
      const got = answers.filter(({ status }) => status === 200).map(({ json }) => (json as Shown).hostname);
      assert.deepEqual([...got].sort(), ['node-1', 'node-6']);
      assert.equal(answers.filter(({ status }) => status === 409).length, 4);
    });

    it('says which disks and interfaces the constraints mean', async () => {
      const { json } = await maas.post('machines/?op=allocate', {
        name: 'node-6',
        storage: 'root:400(ssd)',
        interfaces: 'net:fabric=fabric-0;boot:mode=auto',
        dry_run: 'true',
      });
      assert.deepEqual((json as Shown)['constraints_by_type'], {
        storage: { root: [1] },
        interfaces: { net: [1, 2], boot: [1] },
      });
      assert.equal((await one(6)).status_name, 'Ready');
    });

    it('names in vain what nothing fits', async () => {
      const text = async (fields: Record<string, string>): Promise<string> => {
        const answer = await maas.post('machines/?op=allocate', fields);
        assert.equal(answer.status, 409);
        return answer.text;
      };
      assert.equal(
        await text({ system_id: machineId(2) }),
        `No machine with system ID ${machineId(2)} available.`,
      );
      assert.equal(
        await text({ system_id: machineId(5) }),
        `No machine with system ID ${machineId(5)} available.`,
      );
      assert.equal(
        await text({ tags: 'fast', mem: '999999' }),
        "No available machine matches constraints: [('tags', ['fast']), ('mem', ['999999'])] (resolved to \"tags=fast mem=999999\")",
      );
    });

    it('leaves out pools that are not for this door', async () => {
      await maas.admin.storage.run((tx) =>
        tx.pools.insert({ name: 'gpu', description: '', doors: ['cloudstack'], trusted: false }),
      );
      const { status } = await maas.post('machines/?op=allocate', { pool: 'gpu' });
      await maas.admin.storage.run((tx) => tx.pools.delete('gpu'));
      assert.equal(status, 409);
    });

    it('releases what was never deployed at once, one or many', async () => {
      await maas.post('machines/?op=allocate', { name: 'node-1', agent_name: 'juju' }, { key: berta });
      assert.equal((await one(1)).status_name, 'Allocated');
      assert.deepEqual(await list('?agent_name=juju'), ['node-1']);
      const free = (await maas.post(at(1, 'release'), {}, { key: berta })).json as Shown;
      assert.deepEqual([free.status_name, free.owner], ['Ready', null]);
      assert.deepEqual(await list('?agent_name=juju'), []);
      assert.equal(
        ((await maas.post(at(1, 'release'), {}, { key: berta })).json as Shown).status_name,
        'Ready',
      );

      await maas.post('machines/?op=allocate', { name: 'node-1' }, { key: berta });
      const many = { machines: [machineId(1), machineId(6)] };
      assert.deepEqual((await maas.post('machines/?op=release', many, { key: berta })).json, [machineId(1)]);
      const unknown = await maas.post(
        'machines/?op=release',
        { machines: ['zzzzzz', machineId(2)] },
        { key: berta },
      );
      assert.deepEqual([unknown.status, unknown.text], [400, `Unknown machine(s): zzzzzz, ${machineId(2)}.`]);
      const wrong = await maas.post('machines/?op=release', { machines: [machineId(7)] });
      assert.deepEqual(
        [wrong.status, wrong.text],
        [409, `Machine(s) cannot be released in their current state: ${machineId(7)} ('New').`],
      );
    });

    it('leaves in the timeline what was answered', async () => {
      const id = machineId(2);
      const before = (await maas.post(at(2, 'commission'), { comment: 'again' })).status;
      assert.equal(before, 400);
      await maas.post('machines/zzzzzz/?op=deploy', {});
      const told = (): Promise<readonly TimelineEvent[]> =>
        maas.admin.storage.run((tx) => tx.timeline.list({ machineId: id, limit: 50 }));
      await until(async () => (await told()).some(({ kind }) => kind === 'answer'), 'the answer');
      const [answer] = (await told()).filter(({ kind }) => kind === 'answer');
      assert.match(answer!.text, /^commission answered: 400, .*Commission is not available/);
      assert.deepEqual(
        [answer!.who?.door, answer!.who?.reason, answer!.operationId],
        ['maas', 'again', null],
      );
    });

    it('lists what the caller holds', async () => {
      const { json } = await maas.get('machines/?op=list_allocated', { key: anna });
      assert.deepEqual(names(json), ['node-2', 'node-3']);
    });
  });

  describe('what does not go', () => {
    it('is refused in the words of MAAS', async () => {
      const cases: readonly (readonly [
        path: string,
        fields: Record<string, string>,
        status: number,
        text: string,
      ])[] = [
        [at(3, 'deploy'), {}, 409, "Can't deploy a machine that is in the 'Deployed' state"],
        [at(7, 'release'), {}, 409, "Machine cannot be released in its current state ('New')."],
        [
          at(2, 'commission'),
          {},
          400,
          '{"__all__":["Commission is not available because of the current state of the node."]}',
        ],
        [at(1, 'abort'), {}, 409, `Cannot abort in current state: node ${machineId(1)} is in state Ready.`],
        [at(1, 'power_on'), {}, 409, "Can't start node: it hasn't been allocated."],
        [at(1, 'power_cycle'), {}, 409, "Can't start node: it hasn't been allocated."],
        [at(1, 'power_off'), {}, 200, 'null'],
        [at(1, 'mark_fixed'), {}, 409, "Can't mark a non-broken node as 'Ready'."],
        [at(2, 'lock'), {}, 409, "Can't lock, node is not deployed or deploying"],
        [at(2, 'unlock'), {}, 409, 'Machine is not locked'],
        [at(2, 'set_owner_data'), { a: 'b' }, 409, "Cannot set owner data: it hasn't been acquired."],
        [
          at(2, 'restore_default_configuration'),
          {},
          409,
          'Machine must be in a ready or failed testing state to restore default configuration.',
        ],
        [
          at(1, 'set_storage_layout'),
          { storage_layout: 'lvm' },
          400,
          '{"storage_layout":["\'lvm\' is not a valid storage layout.  It should be one of: \'flat\'."]}',
        ],
        [
          at(2, 'deploy'),
          { install_kvm: 'true' },
          400,
          'Support for install_kvm allocation parameter has been removed.',
        ],
        [
          at(2, 'deploy'),
          { distro_series: 'nosuch' },
          400,
          '{"distro_series":["\'nosuch\' is not a valid distro_series.  It should be one of: ."]}',
        ],
        [at(1, 'rescue_mode'), {}, 400, 'Unrecognised signature: method=POST op=rescue_mode'],
        [at(9, 'deploy'), {}, 404, 'No Machine matches the given query.'],
      ];
      for (const [path, fields, status, text] of cases) {
        const answer = await maas.post(path, fields);
        assert.deepEqual([answer.status, answer.text], [status, text], path);
      }
    });

    it('to a machine that CloudStack hands out', async () => {
      for (const op of [
        'deploy',
        'release',
        'power_off',
        'mark_broken',
        'lock',
        'commission',
        'set_owner_data',
      ])
        for (const n of [4, 5]) {
          const { status, text } = await maas.post(at(n, op), { a: 'b' });
          assert.equal(status, 409, op);
          assert.match(text, /stands in the CloudStack acme/);
        }
      assert.equal((await maas.call('DELETE', at(5))).status, 409);
      const bond = await maas.post(`nodes/${machineId(5)}/interfaces/?op=create_bond`, {
        name: 'b',
        parents: '1',
      });
      assert.equal(bond.status, 409);
    });

    it('for somebody who is no administrator', async () => {
      for (const [method, path] of [
        ['POST', 'machines/'],
        ['PUT', at(2)],
        ['DELETE', at(2)],
        ['POST', at(1, 'commission')],
        ['GET', at(2, 'power_parameters')],
        ['GET', 'machines/?op=power_parameters'],
        ['POST', 'machines/?op=accept_all'],
        ['POST', at(8, 'mark_fixed')],
      ] as const)
        assert.equal(
          (await maas.call(method, path, { key: anna, ...(method !== 'GET' && { form: [] }) })).status,
          403,
          path,
        );
      assert.equal((await maas.post(at(1, 'mark_broken'), {}, { key: anna })).status, 403);
    });
  });

  describe('what is said about a machine', () => {
    it('locks a deployed one against its release', async () => {
      assert.equal(((await maas.post(at(3, 'lock'), {}, { key: anna })).json as Shown)['locked'], true);
      assert.equal((await maas.post(at(3, 'lock'), {}, { key: anna })).text, 'Machine is already locked');
      assert.equal((await maas.post(at(3, 'release'), {}, { key: anna })).status, 409);
      assert.equal((await maas.call('DELETE', at(3))).status, 409);
      assert.equal(((await maas.post(at(3, 'unlock'), {}, { key: anna })).json as Shown)['locked'], false);
      assert.equal((await one(3)).status_name, 'Deployed');
    });

    it('keeps owner data, whatever its keys are called', async () => {
      const fields = { role: 'db', ['__proto__']: 'x', toString: 'y', erase: 'z' };
      const form = Object.entries({ ...fields }).concat([['__proto__', 'x']]);
      const { json } = await maas.call('POST', at(2, 'set_owner_data'), { key: anna, form });
      const data = (json as Shown)['owner_data'] as Record<string, string>;
      assert.deepEqual(Object.entries(data).sort(), [
        ['__proto__', 'x'],
        ['erase', 'z'],
        ['role', 'db'],
        ['toString', 'y'],
      ]);
      const emptied = await maas.call('POST', at(2, 'set_workload_annotations'), {
        key: anna,
        form: [
          ['__proto__', ''],
          ['erase', ''],
          ['toString', ''],
        ],
      });
      assert.deepEqual((emptied.json as Shown)['workload_annotations'], { role: 'db' });
    });

    it('is changed by PUT, also by a JSON body as CloudStack sends it', async () => {
      const renamed = await maas.call('PUT', at(2), {
        type: 'application/json',
        body: '{"hostname":"i-2-7-VM"}',
      });
      assert.deepEqual([renamed.status, (renamed.json as Shown).hostname], [200, 'i-2-7-VM'], renamed.text);
      assert.ok((renamed.json as Shown)['resource_uri']);
      assert.deepEqual(await list('?hostname=i-2-7-VM'), ['i-2-7-VM']);
      const back = await maas.call('PUT', at(2), {
        form: [
          ['hostname', 'node-2'],
          ['description', 'old'],
          ['swap_size', '0'],
        ],
      });
      assert.deepEqual(
        [
          (back.json as Shown).hostname,
          (back.json as Shown)['description'],
          (back.json as Shown)['swap_size'],
        ],
        ['node-2', 'old', 0],
      );
      for (const [form, field] of [
        [[['hostname', 'node-3']], 'hostname'],
        [[['hostname', 'a_b']], 'hostname'],
        [[['zone', 'moon']], 'zone'],
        [[['pool', 'nosuch']], 'pool'],
        [[['architecture', 'z80']], 'architecture'],
        [[['power_type', 'wakeonlan']], 'power_type'],
      ] as const) {
        const { status, json } = await maas.call('PUT', at(2), { form });
        assert.deepEqual([status, Object.keys(json as object)], [400, [field]], field);
      }
    });

    it('tells administrators how its BMC is reached, and takes it from them', async () => {
      const changed = await maas.call('PUT', at(1), {
        form: [
          ['power_parameters_power_address', '127.0.0.1:41001'],
          ['power_parameters_power_pass', 'new secret'],
        ],
      });
      assert.equal(changed.status, 200, changed.text);
      const parameters = (await maas.get(at(1, 'power_parameters'))).json as Record<string, string>;
      assert.equal(parameters['power_address'], '127.0.0.1:41001');
      assert.deepEqual([parameters['power_user'], parameters['power_pass']], ['root', 'new secret']);
      const many = (await maas.get(`machines/?op=power_parameters&id=${machineId(1)}`)).json as object;
      assert.deepEqual(many, { [machineId(1)]: parameters });
      assert.ok(!maas.admin.log.includes('new secret'));
    });

    it('goes into a zone, and is found by its MAC', async () => {
      assert.equal((await maas.post('zones/', { name: 'west' })).status, 200);
      const { json } = await maas.post('machines/?op=set_zone', { zone: 'west', machines: [machineId(1)] });
      assert.equal(json, null);
      assert.deepEqual(await list('?zone=west'), ['node-1']);
      assert.equal((await maas.get(`machines/?op=is_registered&mac_address=${mac(1, 0)}`)).text, 'true');
      assert.equal(
        (await maas.get('machines/?op=is_registered&mac_address=52:54:00:12:34:56')).text,
        'false',
      );
    });

    it('has details as BSON of two documents', async () => {
      const { url, key } = maas;
      const answer = await maas.get(at(1, 'details'));
      assert.ok(url && key);
      assert.equal(answer.headers.get('content-type'), 'application/bson');
      assert.match(answer.text, /lshw[^]*<list><node id="node-1" class="system">[^]*lldp[^]*<lldp\/>/);
      assert.equal((await maas.get(at(1, 'get_token'))).text, 'null');
    });

    it('has disks, by number and name', async () => {
      const disks = (await maas.get(`nodes/${machineId(1)}/blockdevices/`)).json as readonly {
        id: number;
        name: string;
      }[];
      assert.deepEqual(
        disks.map(({ id, name }) => [id, name]),
        [[1, 'sda']],
      );
      assert.deepEqual((await maas.get(`nodes/${machineId(1)}/blockdevices/sda/`)).json, disks[0]);
      assert.equal((await maas.get(`nodes/${machineId(1)}/blockdevices/7/`)).status, 404);
      assert.deepEqual((await maas.get(`nodes/${machineId(1)}/blockdevices/1/partitions/`)).json, []);
    });

    it('is installed to the disk that an administrator chose', async () => {
      const disks = [20, 10].map((gigabytes, index) => ({
        ...machine(1).disks[0]!,
        name: `sd${'ab'[index]}`,
        serial: `DISK-${index}`,
        bytes: gigabytes * 10 ** 9,
      }));
      const { storage } = maas.admin;
      await storage.run((tx) => reset(tx, 1, { disks }));
      const bootDisk = async (): Promise<unknown> =>
        (
          (await maas.get(`machines/${machineId(1)}/`)).json as {
            readonly boot_disk: { readonly name: string };
          }
        ).boot_disk.name;
      assert.equal(await bootDisk(), 'sdb');
      const path = `nodes/${machineId(1)}/blockdevices/sda/?op=set_boot_disk`;
      const user = await maas.newUser('no-admin');
      assert.equal((await maas.post(path, {}, { key: user })).status, 403);
      const { status, text } = await maas.post(path);
      assert.deepEqual([status, text], [200, 'OK']);
      assert.equal(await bootDisk(), 'sda');
      await storage.run((tx) => reset(tx, 1, { disks, state: 'deployed' }));
      assert.equal((await maas.post(path)).status, 409);
    });
  });

  describe('enrolment', () => {
    const fields = {
      architecture: 'amd64',
      power_type: 'ipmi',
      power_parameters_power_address: '127.0.0.1:42000',
      power_parameters_power_user: 'root',
      power_parameters_power_pass: 'secret',
      mac_addresses: ['52:54:00:AB:00:01', '52-54-00-ab-00-02'],
      commission: 'false',
    };

    it('makes a machine, adopts nothing twice, and deletes it', async () => {
      const { status, json, text } = await maas.post('machines/?op=', fields);
      assert.equal(status, 200, text);
      const made = json as Shown;
      assert.deepEqual([made.hostname, made.status_name], ['node-525400ab0001', 'New']);
      assert.deepEqual(
        (made['interface_set'] as readonly { mac_address: string }[]).map(({ mac_address }) => mac_address),
        ['52:54:00:ab:00:01', '52:54:00:ab:00:02'],
      );
      const again = await maas.post('machines/', fields);
      assert.deepEqual(
        [again.status, again.json],
        [
          400,
          {
            mac_addresses: ['52:54:00:ab:00:01', '52:54:00:ab:00:02'].map(
              (one) => `MAC address ${one} already in use on node-525400ab0001.`,
            ),
          },
        ],
      );
      const path = `machines/${made.system_id}/`;
      assert.equal((await maas.call('DELETE', path)).status, 204);
      assert.equal((await maas.get(path)).status, 404);
    });

    it('takes power parameters as JSON too, and commissions unless told otherwise', async () => {
      const { status, json, text } = await maas.post('machines/', {
        architecture: 'amd64',
        power_type: 'ipmi',
        mac_addresses: fields.mac_addresses,
        hostname: 'new-one.example.org',
        power_parameters: '{"power_address": "127.0.0.1:42001", "power_user": "u", "power_pass": "p"}',
      });
      assert.equal(status, 200, text);
      assert.deepEqual([(json as Shown).hostname, (json as Shown).status_name], ['new-one', 'Commissioning']);
    });

    it('refuses what is missing or wrong', async () => {
      const others = { ...fields, mac_addresses: '52:54:00:ab:00:03' };
      const without = (name: string): Record<string, string | readonly string[]> =>
        Object.fromEntries(Object.entries(fields).filter(([key]) => key !== name));
      for (const [wrong, field] of [
        [without('architecture'), 'architecture'],
        [without('mac_addresses'), 'mac_addresses'],
        [without('power_parameters_power_address'), 'power_parameters'],
        [{ ...fields, architecture: 'z80' }, 'architecture'],
        [{ ...fields, mac_addresses: 'x' }, 'mac_addresses'],
        [{ ...fields, power_type: 'manual' }, 'power_type'],
        [{ ...others, hostname: 'node-1' }, 'hostname'],
        [{ ...others, pool: 'nosuch' }, 'pool'],
        [{ ...fields, power_parameters: '{' }, 'power_parameters'],
      ] as const) {
        const { status, json } = await maas.post('machines/', wrong);
        assert.deepEqual([status, Object.keys(json as object)], [400, [field]], field);
      }
    });
  });

  it('has the machines at nodes/ too', async () => {
    assert.deepEqual(names((await maas.get('nodes/?hostname=node-1')).json), ['node-1']);
    assert.equal(((await maas.get(`nodes/${machineId(1)}/`)).json as Shown).hostname, 'node-1');
    assert.equal((await maas.call('PUT', `nodes/${machineId(1)}/`, { form: [] })).status, 405);
  });
});

describe('MAAS API: machines, as MAAS itself would have it', () => {
  const maas = new MaasService('strict: canonical');
  before(async () => {
    await maas.start();
    await maas.admin.storage.run((tx) => tx.machines.insert(freeMachine(1)));
  });
  after(() => maas.dispose());

  it('knows no power_cycle, and bonds by balance-rr', async () => {
    const { status, text } = await maas.post(`machines/${machineId(1)}/?op=power_cycle`);
    assert.deepEqual([status, text], [400, 'Unrecognised signature: method=POST op=power_cycle']);
    const bond = await maas.post(`nodes/${machineId(1)}/interfaces/?op=create_bond`, {
      name: 'b',
      parents: '1',
    });
    assert.equal((bond.json as { params: { bond_mode: string } }).params.bond_mode, 'balance-rr');
  });
});
