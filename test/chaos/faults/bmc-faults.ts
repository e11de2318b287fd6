import type { BmcBehaviours } from '../../../lab/bmc/bmc-behaviours.ts';
import { noFaults } from '../../../lab/bmc/bmc-behaviours.ts';
import type { Draw } from '../draw.ts';
import type { FaultKind } from '../fault.ts';

/** Chassis Control, Get Chassis Status, Set and Get System Boot Options. */
const commands = ['0.2', '0.1', '0.8', '0.9'] as const;

function bmcFault(
  name: string,
  weight: number,
  behaviours: (draw: Draw) => Partial<BmcBehaviours>,
  lasting = false,
): FaultKind {
  return {
    name,
    weight,
    lasting,
    make: (draw, { stage, machine }) => {
      const { bmc } = stage.floor.find(machine);
      const changes = behaviours(draw);
      return {
        text: `BMC of ${machine}: ${JSON.stringify(changes, (_key, value: unknown) => (value === Infinity ? 'Infinity' : value))}`,
        begin: () => bmc.behave(changes),
        end: () => {
          const usual = Object.keys(changes).map((key) => [key, noFaults[key as keyof BmcBehaviours]]);
          bmc.behave(Object.fromEntries(usual) as Partial<BmcBehaviours>);
        },
      };
    },
  };
}

export const bmcFaults: readonly FaultKind[] = [
  bmcFault('BMC dead', 3, () => ({ dead: true }), true),
  bmcFault('BMC loses packets', 2, (draw) => ({
    dropIn: draw.pick([0, 0.1, 0.4]),
    dropOut: draw.pick([0.1, 0.4, 0.7]),
  })),
  bmcFault('BMC slow, repeats itself', 1, (draw) => ({
    delayMs: draw.int(5, 200),
    jitterMs: draw.int(0, 300),
    dupOut: draw.pick([0, 0.5]),
    staleFirst: draw.chance(0.5),
  })),
  bmcFault('BMC busy', 2, (draw) => ({ busy: draw.pick([1, 3, 10, 100]) })),
  bmcFault('BMC password wrong', 2, () => ({ wrongPassword: true })),
  bmcFault('BMC slots full', 2, () => ({ slotsFull: true })),
  bmcFault('BMC ok without effect', 3, (draw) => ({ withoutEffect: draw.pick([1, 2, Infinity]) }), true),
  bmcFault('BMC ignores soft off', 1, () => ({ softIgnored: true })),
  bmcFault('BMC refuses a command', 2, (draw) => ({
    completion: { [draw.pick(commands)]: draw.pick([0xc0, 0xd5, 0xff, 0xc3]) },
  })),
  bmcFault('BMC carries out and never answers', 2, (draw) => ({ mute: [draw.pick(commands)] })),
  bmcFault('BMC hides boot flags', 1, () => ({ refuseBootReading: true })),
  {
    name: 'BMC forgets sessions',
    weight: 1,
    make: (_draw, { stage, machine }) => ({
      text: `BMC of ${machine}: forgets its sessions`,
      begin: () => stage.floor.find(machine).bmc.dropSessions(),
      end: () => undefined,
    }),
  },
];
