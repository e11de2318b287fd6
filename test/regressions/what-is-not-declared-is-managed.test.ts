import assert from 'node:assert/strict';
import { switchTypes } from '../../src/drivers/switch/registry.ts';
import { Racks } from '../../src/operations/racks.ts';
import { claim, machine } from '../store/samples.ts';
import { tempStorage } from '../support/temp-storage.ts';

const anna = { door: 'admin', principal: 'anna', role: 'admin', scope: '*', reason: '' } as const;

// `"wiring": "none"` stayed with the machine when the rack config did not say so any more and wired it, without naming the server: its
// ports were never set, although docs/rack-config.md says that a server is managed unless it is declared otherwise.
it('a server whose "wiring": "none" is taken out of the rack config is managed again', async () => {
  const temp = await tempStorage();
  try {
    const { id, hostname, nics } = machine(1);
    await temp.storage.run((tx) => tx.machines.insert({ ...machine(1), state: 'ready', wiring: 'managed' }));
    const racks = new Racks(temp.storage, switchTypes, { env: {}, readFile: () => '' });
    const l2Switch = { ip: '192.0.2.1', username: 'a', password: 'b', type: 'Force10', name: 'tor-1' };
    const wiring = async (): Promise<string | undefined> =>
      (await temp.storage.run((tx) => tx.machines.find(id)))?.wiring;
    const upload = (hosts: object[], more: object = {}): Promise<unknown> =>
      racks.upload(JSON.stringify({ racks: [{ l2Switch, hosts }], ...more }), anna);

    await upload([], { servers: [{ name: hostname, wiring: 'none' }] });
    assert.equal(await wiring(), 'none');
    await upload([{ mac: nics[0]!.mac, port: 'Te 1/1' }]);
    assert.equal(await wiring(), 'managed');
    // What an enrolment said, and no rack config, stays.
    await temp.storage.run(async (tx) => {
      const known = await tx.machines.find(id);
      await tx.machines.update({ ...known!, wiring: 'none' });
    });
    await upload([{ mac: nics[0]!.mac, port: 'Te 1/2' }]);
    assert.equal(await wiring(), 'none');
  } finally {
    await temp.close();
  }
});

// A rack config that an earlier version had taken, and a later one would refuse, kept every new one from being uploaded: "the rack config
// has 1 problem", in a line of the old one.
it('a rack config that would not be taken any more is replaced, and its ports are minded all the same', async () => {
  const temp = await tempStorage();
  try {
    const { id, nics } = machine(1);
    const [first, second] = nics;
    const racks = new Racks(temp.storage, switchTypes, { env: {}, readFile: () => '' });
    const l2Switch = { ip: '192.0.2.1', username: 'a', password: 'b', type: 'Force10', name: 'tor-1' };
    const upload = (ports: readonly string[]): Promise<unknown> =>
      racks.upload(
        JSON.stringify({
          racks: [{ l2Switch, hosts: ports.map((port, i) => ({ mac: [first, second][i]!.mac, port })) }],
        }),
        anna,
      );
    await temp.storage.run((tx) => tx.machines.insert(machine(1)));
    await upload(['Te 1/1']);
    await temp.storage.run(async (tx) => {
      await tx.racks.replace('{"racks": "of old"}', await tx.racks.switches(), await tx.racks.wires());
      await tx.claims.insert({ ...claim(1), machineId: id });
    });
    await assert.rejects(upload(['Te 1/7']), { code: 'rack.in-use' });
    await upload(['Te 1/1', 'Te 1/2']);
  } finally {
    await temp.close();
  }
});
