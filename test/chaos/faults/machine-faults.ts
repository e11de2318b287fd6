import type { Violation } from '../../../lab/floor/index.ts';
import type { Behaviour, HangPoint, LabMachine } from '../../../lab/machine/index.ts';
import type { Draw } from '../draw.ts';
import type { FaultKind } from '../fault.ts';

interface Options {
  readonly unsettles?: boolean;
  readonly lasting?: boolean;
  readonly times?: readonly number[];
  readonly excuses?: (violation: Violation) => boolean;
}

function machineFault(
  name: string,
  weight: number,
  behaviour: (draw: Draw, machine: LabMachine) => Behaviour,
  { unsettles = false, lasting = false, times = [1, 2, Infinity], excuses }: Options = {},
): FaultKind {
  return {
    name,
    weight,
    unsettles,
    lasting,
    make: (draw, { stage, machine: place }) => {
      const { machine } = stage.floor.find(place);
      const drawn = behaviour(draw, machine);
      const count = draw.pick(times);
      return {
        text: `${place}: ${JSON.stringify(drawn)}, ${count} times`,
        begin: () => machine.behaviours.add(drawn, count),
        end: () => machine.behaviours.clear(drawn.kind),
        ...(excuses && {
          excuses: (violation: Violation) => violation.machine === place && excuses(violation),
        }),
      };
    },
  };
}

const hangs: readonly HangPoint[] = ['firmware', 'ipxe', 'agent', 'image', 'erase', 'os'];

export const machineFaults: readonly FaultKind[] = [
  machineFault(
    'NIC without link',
    1,
    (draw, { nics }) => ({
      kind: 'dead-nic',
      ...(draw.chance(0.6) && { nic: draw.pick(nics).label }),
    }),
    { unsettles: true },
  ),
  machineFault('boots the wrong device', 2, () => ({ kind: 'wrong-device' }), {
    unsettles: true,
    times: [1],
    // Told to boot from the network for an erase, it boots the tenant's disk where it stands.
    excuses: ({ law, said }) => law === '4a' && /its system runs with .* open on the provisioning/.test(said),
  }),
  machineFault('dies mid-image', 2, (draw) => ({ kind: 'dies-mid-image', percent: draw.int(0, 99) })),
  machineFault('bad checksum', 2, () => ({ kind: 'corrupts-image' })),
  machineFault('machine hangs', 3, (draw) => ({ kind: 'hangs', at: draw.pick(hangs) }), {
    unsettles: true,
    times: [1, 2],
  }),
  machineFault('system ignores soft off', 1, () => ({ kind: 'ignores-soft-off' })),
  machineFault('power stuck', 2, (draw) => ({ kind: 'power-stuck', at: draw.pick(['on', 'off'] as const) }), {
    lasting: true,
  }),
  machineFault('machine slow', 1, (draw) => ({ kind: 'slow', factor: draw.int(2, 6) })),
  machineFault('ramdisk fails', 2, () => ({
    kind: 'agent-fails',
    code: 'agent',
    said: 'the lab said so',
  })),
  machineFault('disk missing', 1, (draw, { disks }) => ({
    kind: 'disk-missing',
    disk: draw.pick(disks).name,
  })),
  machineFault('erase writes nothing', 1, (draw, { disks }) => ({
    kind: 'erase-skips',
    disk: draw.pick(disks).name,
  })),
  machineFault(
    'second asker',
    1,
    (draw) => ({ kind: 'second-asker', when: draw.pick(['before', 'after'] as const) }),
    { times: [1] },
  ),
  {
    name: 'power lost',
    weight: 2,
    unsettles: true,
    make: (_draw, { stage, machine }) => ({
      text: `${machine}: somebody pulls the power cord`,
      begin: () => stage.floor.find(machine).machine.losePower(),
      end: () => undefined,
    }),
  },
];
