import type { LabBehaviours } from '../../../lab/management-server/behaviours.ts';
import { usualBehaviours } from '../../../lab/management-server/behaviours.ts';
import type { Draw } from '../draw.ts';
import type { FaultKind } from '../fault.ts';

function cloudFault(
  name: string,
  weight: number,
  behaviours: (draw: Draw) => Partial<LabBehaviours>,
  dropsLinks = false,
): FaultKind {
  return {
    name,
    weight,
    make: (draw, { stage }) => {
      const changes = behaviours(draw);
      return {
        text: `management server: ${JSON.stringify(changes)}${dropsLinks ? ', links drop' : ''}`,
        begin: () => {
          Object.assign(stage.cloud.behaviours, changes);
          if (dropsLinks) stage.dropLinks();
        },
        end: () => {
          const usual = usualBehaviours();
          for (const key of Object.keys(changes) as (keyof LabBehaviours)[])
            Object.assign(stage.cloud.behaviours, { [key]: usual[key] });
        },
      };
    },
  };
}

const api = 'com.cloud.agent.api.';

export const cloudFaults: readonly FaultKind[] = [
  cloudFault('management server drops links', 3, () => ({}), true),
  cloudFault('management server drops the link after a command', 2, (draw) => ({
    dropAfter: api + draw.pick(['StartCommand', 'StopCommand', 'baremetal.DestroyCommand', 'RebootCommand']),
  })),
  cloudFault('management server closes its door', 1, () => ({ closeBeforeHandshake: true }), true),
  cloudFault('management server answers no ping', 1, () => ({ pingAnswer: 'never' })),
  cloudFault('management server asks for a new Startup', 1, () => ({ sendStartup: true })),
  cloudFault(
    'management server slow to connect',
    1,
    (draw) => ({ startupAnswer: draw.int(100, 2_000) }),
    true,
  ),
  {
    name: 'management server dies, another takes over',
    weight: 2,
    make: (draw, { stage }) => {
      const pause = draw.int(0, 1_500);
      return {
        text: `management server: dies; another one is there after ${pause} ms`,
        begin: () => stage.replaceCloud(pause),
        end: () => undefined,
      };
    },
  },
];
