import assert from 'node:assert/strict';
import type { FloorRow } from '../../lab/floor/index.ts';
import { deviations, momentTable, type Asked } from '../../lab/demo/floor-check.ts';

const port = {
  nic: 'eth0',
  mac: '52:54:0a:00:00:01',
  port: 'tor-1 TenGigabitEthernet 1/1',
  up: true,
  native: 200,
  tagged: [201],
};
const disk = { name: 'vda', image: 'lab-linux', bootable: true, instanceId: 'op-1', residue: 'op-1' };
const lease = {
  mac: '06:00:ac:10:00:02',
  vlan: 200,
  address: '10.1.200.10',
  seenAt: 'tor-1 TenGigabitEthernet 1/1',
};
const row: FloorRow = {
  machine: 'server-1',
  bmc: '127.0.0.1:623',
  power: 'on',
  phase: 'os',
  ports: [port, { ...port, nic: 'eth1', port: 'tor-2 TenGigabitEthernet 1/1' }],
  disks: [disk],
  leases: [lease],
};
const asked: Asked = {
  power: 'on',
  ports: { native: 200, tagged: [201] },
  image: 'lab-linux',
  leases: [{ mac: lease.mac, vlan: 200 }],
};

describe('what the floor shows against what was asked', () => {
  it('finds nothing where all is as asked', () => assert.deepEqual(deviations(row, asked), []));

  const cases: readonly (readonly [string, FloorRow, Asked, RegExp])[] = [
    ['another power state', { ...row, power: 'off' }, asked, /power off, asked on/],
    [
      'a VLAN too many on one port',
      { ...row, ports: [port, { ...port, tagged: [201, 300] }] },
      asked,
      /200 \+201t \+300t, asked 200 \+201t/,
    ],
    ['a shut port', { ...row, ports: [{ ...port, up: false }, port] }, asked, /: shut, asked 200 \+201t/],
    [
      'no image',
      { ...row, disks: [{ ...disk, image: null, residue: null }] },
      asked,
      /vda: no image, asked lab-linux/,
    ],
    ['a torn image', { ...row, disks: [{ ...disk, bootable: false }] }, asked, /torn/],
    ['an image that should be gone', row, { ...asked, image: null }, /vda: lab-linux, asked no image/],
    [
      'data left behind',
      { ...row, disks: [{ ...disk, image: null }] },
      { ...asked, image: null },
      /data of op-1 is still there/,
    ],
    ['a missing lease', { ...row, leases: [] }, asked, /no lease for 06:00:ac:10:00:02 in VLAN 200/],
    [
      'a lease in the wrong VLAN',
      { ...row, leases: [{ ...lease, vlan: 300 }] },
      asked,
      /in VLAN 300, not asked/,
    ],
  ];
  for (const [what, seen, wanted, told] of cases)
    it(`tells of ${what}`, () => {
      assert.match(deviations(seen, wanted).join('; '), told);
      assert.match(momentTable([{ when: 'now', row: seen, asked: wanted }]).join('\n'), /FAILED/);
    });
});
