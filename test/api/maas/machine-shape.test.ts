import assert from 'node:assert/strict';
import fc from 'fast-check';
import { emptyProfile } from '../../../src/core/machine/profile.ts';
import { InterfaceModel } from '../../../src/core/network/interface-model.ts';
import { inventoriedInterfaces } from '../../../src/core/network/interface.ts';
import type { StoredRecord } from '../../../src/core/storage/stored-record.ts';
import { bsonOfBinaries } from '../../../src/api/maas/bson-document.ts';
import type { MachineSight } from '../../../src/api/maas/machine-sight.ts';
import { NetworkLookup } from '../../../src/api/maas/network-lookup.ts';
import { machineJson, machineText } from '../../../src/api/maas/shapes/machine.ts';
import { Surroundings } from '../../../src/api/maas/surroundings.ts';
import { userClaim, userDeployment } from './machine-samples.ts';
import { machine, machineId } from '../../store/samples.ts';

const record = (
  kind: StoredRecord['kind'],
  id: number,
  name: string,
  body: StoredRecord['body'],
): StoredRecord => ({
  kind,
  id,
  name,
  owner: null,
  body,
  version: 1,
});

const network = new NetworkLookup({
  fabrics: [record('fabric', 1, 'rack "1"', {})],
  vlans: [
    record('vlan', 1, '1/0', { fabric: 1, vid: 0, dhcp_on: true }),
    record('vlan', 2, '1/200', { fabric: 1, vid: 200, relay_vlan: 1 }),
    // Each relays to the other.
    record('vlan', 3, '1/201', { fabric: 1, vid: 201, relay_vlan: 2, space: 4 }),
  ],
  subnets: [record('subnet', 1, '', { vlan: 1, cidr: '10.0.0.0/24', gateway_ip: '10.0.0.1' })],
  spaces: [record('space', 4, 'prod', {})],
  rack: 'rack01',
});

const around = new Surroundings({
  network,
  zones: [record('zone', 1, 'default', { description: 'all of it' })],
  pools: [{ id: 2, name: 'default', description: '' }],
  domains: [record('domain', 1, 'maas', { is_default: true })],
  images: [{ name: 'lab', aliases: ['http://x/lab', 'ubuntu/jammy'] }],
});

function sight(more: Partial<MachineSight> = {}): MachineSight {
  const one = machine(1);
  return {
    machine: one,
    profile: emptyProfile(one.id),
    claim: null,
    deployment: null,
    active: null,
    failure: null,
    withheld: null,
    boot: { vlan: 1, subnet: 1 },
    ...more,
  };
}

const settings = 'Disk erasing';

describe('a machine in MAAS’s shape', () => {
  it('is the same as text and as an object, whatever it has', () => {
    const interfaces = new InterfaceModel({
      interfaces: inventoriedInterfaces(machine(1), 1, 1),
      numbers: null,
      network,
      defaultBondMode: 'active-backup',
    });
    const bond = interfaces.createBond({ name: 'bond0', parents: [1, 2] });
    interfaces.createVlan({ parents: [bond.id], vlan: 3 });
    fc.assert(
      fc.property(
        fc.record({
          hostname: fc.string(),
          description: fc.string(),
          tags: fc.array(fc.string()),
          cpus: fc.nat(64),
        }),
        fc.dictionary(fc.string(), fc.string()),
        fc.boolean(),
        ({ hostname, description, tags, cpus }, ownerData, changed) => {
          const one = { ...machine(1), hostname, cpus, ...(changed && { disks: [], nics: [] }) };
          const seen = sight({
            machine: one,
            profile: {
              ...emptyProfile(one.id),
              description,
              tags,
              ownerData,
              interfaces: changed ? interfaces.interfaces : null,
            },
            ...(changed && { claim: userClaim(1, 'anna'), deployment: userDeployment(1, 'anna') }),
          });
          const json = JSON.parse(JSON.stringify(machineJson(seen, around, settings))) as unknown;
          assert.deepEqual(JSON.parse(machineText(seen, around, settings).text), json);
        },
      ),
    );
  });

  it('tells an image by its name in MAAS’s two words', () => {
    const of = (image: string): unknown => {
      const { osystem, distro_series } = machineJson(
        sight({ deployment: userDeployment(1, 'anna', { image }) }),
        around,
        settings,
      );
      return [osystem, distro_series];
    };
    assert.deepEqual(of('lab'), ['ubuntu', 'jammy']);
    assert.deepEqual(of('debian-12'), ['custom', 'debian-12']);
  });

  it('tells VLANs with their fabric, space, rack and relay', () => {
    const { name, fabric, space, primary_rack, dhcp_on } = network.vlan(1)!;
    assert.deepEqual(
      [name, fabric, space, primary_rack, dhcp_on],
      ['untagged', 'rack "1"', 'undefined', 'rack01', true],
    );
    const tagged = network.vlan(3)!;
    assert.deepEqual(
      [tagged.name, tagged.space, tagged.relay_vlan?.vid, tagged.relay_vlan?.relay_vlan],
      ['201', 'prod', 200, null],
    );
    assert.equal(network.vlan(9), null);
    assert.equal(network.subnet(9), null);
  });

  it('has a place for a machine that nobody knows the network of', () => {
    const json = machineJson(sight({ boot: { vlan: null, subnet: null } }), around, settings);
    const [first] = json['interface_set'] as readonly { vlan: unknown; links: readonly object[] }[];
    assert.equal(first!.vlan, null);
    assert.deepEqual(first!.links, [{ id: 1, mode: 'auto' }]);
    assert.equal(json['system_id'], machineId(1));
  });

  it('is written as BSON byte by byte', () => {
    assert.equal(
      bsonOfBinaries({ a: Buffer.from('xy') }).toString('hex'),
      // length 15; type 5, "a", length 2, subtype 0, "xy"; end.
      '0f000000' + '05' + '6100' + '02000000' + '00' + '7879' + '00',
    );
  });
});
