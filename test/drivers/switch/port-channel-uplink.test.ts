import { deepEqual, equal, match } from 'node:assert/strict';
import { os9PortId, parseVlanId, type DesiredPort } from '../../../plugin-api/index.ts';
import { intentOf, te, withLab, withSession } from './lab-fixture.ts';

const v = parseVlanId;
const group = os9PortId('Po 1');
const members = [te(47), te(48)];
const tenant: DesiredPort = { native: v(100), tagged: [], admin: 'up' };

describe('an uplink that is a port-channel', () => {
  for (const others of [[], [2, 3, 4, 5, 6, 7, 8].map(te)])
    it(`takes VLANs and gives them back, read with ${others.length + 2} ports`, async () => {
      await withLab({ ports: ['Te 1/1-1/8', 'Te 1/47-1/48'], uplinks: ['Po 1'] }, {}, async (fixture) => {
        const { model } = fixture.lab;
        for (const port of members) {
          model.setSwitchport(port, false, 'test');
          model.setHybrid(port, false, 'test');
          model.setLag(port, group, 'channel-member', 'test');
        }
        const read = [te(1), group, ...others];
        await withSession(fixture, async (session) => {
          const first = await session.read(read);
          equal(first.ports.get(group)!.guarded, null);
          const wish = { uplinks: [group], carried: [v(100)] };
          await session.apply(fixture.driver.plan(first, intentOf(new Map([[te(1), tenant]]), wish)));
          for (const port of members) deepEqual(model.effective(port).tagged, [100]);
          const second = await session.read(read);
          deepEqual(second.ports.get(group)!.tagged, [100]);
          const gone: DesiredPort = { native: 'default', tagged: [], admin: 'up' };
          const back = intentOf(new Map([[te(1), gone]]), { uplinks: [group], retired: [v(100)] });
          await session.apply(fixture.driver.plan(second, back));
          for (const port of members) deepEqual(model.effective(port).tagged, []);
          equal(model.vlan(100), undefined);
        });
      });
    });

  it('has members that are left alone', async () => {
    await withLab({ ports: ['Te 1/1-1/2', 'Te 1/47-1/48'], uplinks: ['Po 1'] }, {}, async (fixture) => {
      const { model } = fixture.lab;
      for (const port of members) {
        model.setSwitchport(port, false, 'test');
        model.setLag(port, group, 'channel-member', 'test');
      }
      await withSession(fixture, async (session) => {
        const { ports } = await session.read(members);
        for (const port of members) match(ports.get(port)!.guarded ?? '', /LAG member/);
      });
    });
  });
});
