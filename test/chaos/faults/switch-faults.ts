import type { LabSwitch, Behaviour } from '../../../lab/switch/index.ts';
import { syslogLine } from '../../../lab/switch/index.ts';
import type { Draw } from '../draw.ts';
import type { Fault, FaultKind, FaultScene } from '../fault.ts';

/** Lines that change something; a fault strikes at one of them. */
const changes: readonly RegExp[] = [
  /^(no )?untagged /,
  /^(no )?tagged /,
  /^interface vlan /i,
  /^interface TenGig/i,
  /^(no )?shutdown/,
  /^configure/,
];
/** Lines that can be left out without the next ones landing elsewhere. */
const memberships: readonly RegExp[] = [/^(no )?untagged /, /^(no )?tagged /, /^(no )?shutdown/];
const reads: readonly RegExp[] = [/^show interfaces switchport/, /^show vlan/, /^show /];
const save = /^(write|copy running)/;

function oneOf(draw: Draw, { stage, machine }: FaultScene): LabSwitch {
  const { nics } = stage.floor.find(machine).machine;
  const name = draw.pick(nics).place.switch;
  return stage.floor.switches.find((device) => device.name === name)!;
}

/** A behaviour at the n-th line of a kind, so and so often. */
function atLine(
  draw: Draw,
  scene: FaultScene,
  lines: readonly RegExp[],
  behaviour: Behaviour,
  times: readonly number[],
): Fault {
  const device = oneOf(draw, scene);
  const line = draw.pick(lines);
  const options = { nth: draw.int(1, 6), times: draw.pick(times) };
  let rule: { cancel(): void; readonly fired: number } | null = null;
  return {
    text: `${device.name}: ${JSON.stringify(behaviour)} at ${String(line)}, from the ${options.nth}. match, ${options.times} times`,
    begin: () => {
      rule = device.behaviours.on(line, behaviour, options);
    },
    end: () => rule?.cancel(),
  };
}

const when = (draw: Draw) => draw.pick(['before', 'after'] as const);

export const switchFaults: readonly FaultKind[] = [
  {
    name: 'switch refuses',
    weight: 3,
    make: (draw, scene) =>
      atLine(draw, scene, changes, { do: 'refuse', text: '% Error: Vlan table is full.' }, [1, 2, Infinity]),
  },
  {
    name: 'switch ignores a line',
    weight: 3,
    make: (draw, scene) => ({
      ...atLine(draw, scene, memberships, { do: 'ignore' }, [1, 2, Infinity]),
      // A port that does not heed its `shutdown` is open while it moves.
      excuses: ({ law }) => law === '4e',
    }),
  },
  {
    name: 'switch hangs',
    weight: 2,
    make: (draw, scene) =>
      atLine(draw, scene, [...changes, ...reads, save], { do: 'hang', when: when(draw) }, [1, 2]),
  },
  {
    name: 'switch disconnects',
    weight: 3,
    make: (draw, scene) =>
      atLine(draw, scene, [...changes, ...reads, save], { do: 'disconnect', when: when(draw) }, [1, 1, 3]),
  },
  {
    name: 'switch reboots unsaved',
    weight: 2,
    // What was never saved is gone by right after a save that was made to fail.
    not: ['switch save fails', 'another admin edits'],
    unsettles: true,
    make: (draw, scene) => {
      if (draw.chance(0.5))
        return atLine(draw, scene, [...changes, save], { do: 'reload', when: when(draw) }, [1]);
      const device = oneOf(draw, scene);
      return { text: `${device.name}: restarts`, begin: () => device.reload(), end: () => undefined };
    },
  },
  {
    name: 'switch save fails',
    weight: 2,
    not: ['switch reboots unsaved'],
    make: (draw, scene) => atLine(draw, scene, [save], { do: 'fail-save' }, [1, 2, Infinity]),
  },
  {
    name: 'another admin edits',
    weight: 2,
    not: ['switch reboots unsaved'],
    unsettles: true,
    make: anotherAdmin,
  },
  {
    name: 'switch locked',
    weight: 1,
    make: (draw, scene) =>
      atLine(draw, scene, [/^configure/], { do: 'lock', ms: draw.int(50, 2_000), user: 'somebody' }, [1, 2]),
  },
  {
    name: 'switch slow or chatty',
    weight: 1,
    make: (draw, scene) =>
      draw.chance(0.5)
        ? atLine(draw, scene, [...changes, ...reads, save], { do: 'delay', ms: draw.int(100, 1_500) }, [1, 5])
        : atLine(
            draw,
            scene,
            [...changes, ...reads],
            { do: 'noise', where: draw.pick(['before', 'within', 'after'] as const), lines: [syslogLine] },
            [3],
          ),
  },
  {
    name: 'switch gone',
    weight: 2,
    make: (draw, scene) => {
      const device = oneOf(draw, scene);
      const reception = draw.pick(['closed', 'silent'] as const);
      return {
        text: `${device.name}: sessions drop, new connections are ${reception === 'closed' ? 'closed' : 'not answered'}`,
        begin: () => {
          device.reception = reception;
          device.dropSessions();
        },
        end: () => {
          device.reception = 'served';
        },
      };
    },
  },
];

/** Somebody else changes a port of the machine, or what its networks hang on. */
function anotherAdmin(draw: Draw, scene: FaultScene): Fault {
  const { stage } = scene;
  const { machine } = stage.floor.find(scene.machine);
  const { place } = draw.pick(machine.nics);
  const device = stage.floor.switches.find(({ name }) => name === place.switch)!;
  const { model } = device;
  const by = 'somebody';
  const edits: readonly (readonly [string, () => void])[] = [
    [`shuts ${place.port}`, () => model.setPort(place.port, { shutdown: true }, by)],
    [
      `tags ${place.port} in VLAN 666`,
      () => {
        model.ensureVlan(666, by);
        model.addTagged(666, place.port, by);
      },
    ],
    [
      `moves ${place.port} to VLAN 666 if the machine is off`,
      () => {
        if (machine.power() === 'on') return;
        const native = model.explicitNative(place.port);
        if (native !== null) model.removeUntagged(native, place.port, by);
        model.ensureVlan(666, by);
        model.addUntagged(666, place.port, by);
      },
    ],
    [
      'makes VLAN 777 and saves',
      () => {
        model.ensureVlan(777, by);
        model.save(by);
      },
    ],
  ];
  const [text, edit] = draw.pick(edits);
  return {
    text: `${device.name}: somebody ${text}`,
    begin: () => {
      try {
        edit();
      } catch (refusal) {
        // The switch refuses the person what it refuses the service.
        stage.timeline.tell('fault', `${device.name} refused somebody: ${String(refusal)}`);
      }
    },
    end: () => undefined,
    // The ports of a bond differ because somebody made them differ, right before the system came up; and nobody shuts a port by
    // hand before moving it.
    excuses: ({ law, machine: name }) => (law === '4d' || law === '4e') && name === scene.machine,
  };
}
