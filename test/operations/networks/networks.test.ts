import assert from 'node:assert/strict';
import { parseVlanId } from '../../../plugin-api/index.ts';
import type { Machine } from '../../../src/core/machine/machine.ts';
import { toFabric, toSubnet, toVlan } from '../../../src/core/network/network-records.ts';
import type { Switch, Wire } from '../../../src/core/rack/wiring.ts';
import {
  bootNetwork,
  ensureNetworks,
  networkOf,
  provisioningVlans,
} from '../../../src/operations/networks.ts';
import type { SqlStorage } from '../../../src/store/open-storage.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';
import { mac, machine, port, switchRecord } from '../../store/samples.ts';

const at = (name: string, fabric: string, provisioning: Switch['provisioning']): Switch => ({
  ...switchRecord(name),
  fabric,
  provisioning,
});

const wire = (n: number, name: string, nic = 0): Wire => ({
  mac: mac(n, nic),
  switch: name,
  port: port(`te1/${n * 4 + nic}`),
  server: null,
});

async function networks(storage: SqlStorage): Promise<readonly string[]> {
  return storage.run(async (tx) => {
    const fabrics = new Map((await tx.records.list('fabric')).map((record) => [record.id, toFabric(record)]));
    const subnets = (await tx.records.list('subnet')).map(toSubnet);
    return (await tx.records.list('vlan')).map(toVlan).map((vlan) => {
      const fabric = fabrics.get(vlan.fabric)!.name;
      const cidrs = subnets.filter((subnet) => subnet.vlan === vlan.id).map(({ cidr }) => cidr);
      return `${fabric} ${vlan.vid} ${vlan.dhcp_on ? 'dhcp' : '-'} ${cidrs.join(' ')}`.trimEnd();
    });
  });
}

describe('networks of the rack config', () => {
  let temp: TempStorage;
  beforeEach(async () => {
    temp = await tempStorage();
  });
  afterEach(() => temp.close());

  const upload = (switches: readonly Switch[], wires: readonly Wire[] = []): Promise<void> =>
    temp.storage.run(async (tx) => {
      await tx.racks.replace('', switches, wires);
      await ensureNetworks(tx, { cidr: '10.11.0.0/24' });
    });

  it('are made once, and those that were there stay', async () => {
    await temp.storage.run((tx) => ensureNetworks(tx));
    assert.deepEqual(await networks(temp.storage), ['fabric-0 0 dhcp 192.0.2.0/24']);
    const rack = [at('tor-a', 'berlin', parseVlanId(11)), at('tor-b', 'berlin', parseVlanId(11))];
    await upload([...rack, at('tor-c', 'paris', 'default-vlan')]);
    const all = [
      'fabric-0 0 - 10.11.0.0/24',
      'berlin 0 -',
      'berlin 11 dhcp 10.11.0.0/24',
      'paris 0 dhcp 10.11.0.0/24',
    ];
    assert.deepEqual(await networks(temp.storage), all);
    await upload(rack);
    assert.deepEqual(await networks(temp.storage), all);
  });

  it('keep what a client changed', async () => {
    await upload([at('tor-a', 'berlin', 'default-vlan')]);
    await temp.storage.run(async (tx) => {
      const [subnet] = await tx.records.list('subnet');
      await tx.records.update({ ...subnet!, body: { ...subnet!.body, cidr: '10.99.0.0/16' } });
    });
    await upload([at('tor-a', 'berlin', 'default-vlan')]);
    assert.ok((await networks(temp.storage)).includes('berlin 0 dhcp 10.99.0.0/16'));
  });

  it('say where a machine boots: by its first connected NIC, else in the fabric of the unwired', async () => {
    const rack = [at('tor-a', 'berlin', parseVlanId(11)), at('tor-c', 'paris', 'default-vlan')];
    await upload(rack, [wire(1, 'tor-a'), wire(2, 'tor-c', 1)]);
    const machines: readonly Machine[] = [machine(1), machine(2), machine(3)];
    const found = await temp.storage.run(async (tx) => {
      const places: string[] = [];
      for (const one of machines) {
        const network = await bootNetwork(tx, one);
        const vlan = toVlan((await tx.records.find('vlan', network.vlan))!);
        const subnet = toSubnet((await tx.records.find('subnet', network.subnet))!);
        assert.equal(subnet.vlan, vlan.id);
        places.push(`${toFabric((await tx.records.find('fabric', vlan.fabric))!).name} ${vlan.vid}`);
      }
      return places;
    });
    assert.deepEqual(found, ['berlin 11', 'paris 0', 'fabric-0 0']);
  });

  it('name the VLANs that machines boot from', async () => {
    await upload([at('tor-a', 'berlin', parseVlanId(11))]);
    const vids = await temp.storage.run(async (tx) => {
      const body = { fabric: 1, vid: 100 };
      await tx.records.insert({ kind: 'vlan', name: '1/100', owner: null, body });
      const numbers = await provisioningVlans(tx);
      return (await tx.records.list('vlan')).filter(({ id }) => numbers.has(id)).map(({ name }) => name);
    });
    assert.deepEqual(vids, ['1/0', '1/11', '2/0']);
  });

  it('are computed from an address', () => {
    assert.equal(networkOf({ host: '10.11.0.1', prefix: 24 }), '10.11.0.0/24');
    assert.equal(networkOf({ host: '203.0.113.201', prefix: 26 }), '203.0.113.192/26');
    assert.equal(networkOf({ host: '192.168.255.7', prefix: 8 }), '192.0.0.0/8');
  });
});
