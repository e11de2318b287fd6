import { switchConformance, type SwitchFixture } from '../../../plugin-api/conformance/switch.ts';
import { os9PortId, parseVlanId } from '../../../plugin-api/index.ts';
import type { LabSwitchOptions } from '../../../lab/switch/index.ts';
import { labFixture, te, uplink } from './lab-fixture.ts';

async function fixtureFor(options: Partial<LabSwitchOptions>): Promise<SwitchFixture> {
  const { lab, driver, target } = await labFixture(options);
  return {
    driver,
    target,
    ports: [te(1), te(2), te(3), te(4)],
    uplinks: [uplink],
    missingPort: os9PortId('Te 1/77'),
    defaultVlan: options.defaultVlan === null ? null : parseVlanId(options.defaultVlan ?? 1),
    oracle: async () => new Map([...lab.model.dump()].map(([name, state]) => [os9PortId(name), state])),
    saved: async () => lab.model.saved,
    stop: () => lab.stop(),
  };
}

/** Every inferred fact about OS9 is a knob of the lab switch: the contract holds for each value. */
const switches: Readonly<Record<string, Partial<LabSwitchOptions>>> = {
  'a switch as it comes': {},
  'ports that were never prepared': { prepared: false },
  'older firmware': {
    crypto: 'legacy',
    privilege: 1,
    enableSecret: 'enable-secret',
    knobs: {
      rangeGrammar: 'old',
      portPrompt: 'plain',
      execMark: '$',
      endKeepsPrivilege: false,
      errorPrefix: 'Error : ',
      switchportOfOthers: 'nothing',
      portLists: 'one line',
      listsTaken: false,
      subModes: 'through configuration mode',
    },
  },
  'the lenient readings of the manual': {
    // With taggedHybrid: 'none' the first tagged VLAN takes an uplink out of the default VLAN: it has one already.
    vlans: { 10: 'pxe' },
    uplinkVlans: [10],
    knobs: {
      untaggedMove: 'auto-move',
      sameVlan: 'replace',
      removeAbsent: 'ignore',
      defaultVlanEdit: 'ignore',
      deleteOccupiedVlan: 'refuse',
      taggedHybrid: 'none',
      vlanShutdown: 'forwarding',
      newVlan: 'no shutdown',
      refusedList: 'atomic',
      errorPrefix: '%Error: ',
    },
  },
  'the null VLAN instead of a default VLAN': { defaultVlan: null },
  'another default VLAN': { defaultVlan: 99 },
};

describe('Force10 driver', () => {
  for (const [name, options] of Object.entries(switches)) {
    describe(`with ${name}`, () => {
      switchConformance({ describe, it }, () => fixtureFor(options), { rounds: 6 });
    });
  }
});
