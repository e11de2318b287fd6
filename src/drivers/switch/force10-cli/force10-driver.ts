import {
  DeviceError,
  os9PortId,
  planPorts,
  type SwitchDriver,
  type SwitchDriverFactory,
  type SwitchType,
} from '../../../../plugin-api/index.ts';
import { Force10Session } from './force10-session.ts';
import { unpreparedRemedy } from './refusal.ts';
import { renderSteps } from './render.ts';
import { force10Settings } from './settings.ts';

/** Dell Networking OS9 and its ancestors (FTOS), as CloudStack's rack JSON names them. */
export const force10Type: SwitchType = {
  type: 'Force10',
  defaultTransport: 'ssh',
  transports: { ssh: 22 },
  parsePort: os9PortId,
};

/** Drives OS9 switches over their command line. @param settings see `force10Settings` */
export const createForce10CliDriver: SwitchDriverFactory = (context, settings): SwitchDriver => {
  const parsed = force10Settings.parse(settings ?? {});
  return {
    type: force10Type.type,
    async open(target, signal) {
      if (target.transport !== 'ssh') {
        // CloudStack's own backend speaks REST to port 8008; a rack config taken from there may say so.
        const known =
          target.transport === 'rest' ? 'the REST transport has no driver yet' : 'unknown transport';
        throw new DeviceError({
          code: 'switch.transport',
          what: `${known}: "${target.transport}"`,
          where: `switch ${target.name}`,
          remedy: 'set "transport": "ssh"; switches of type Force10 are driven over their command line',
        });
      }
      return Force10Session.open(target, parsed, context, signal);
    },
    plan: (observed, intent) =>
      planPorts(observed, intent, { prepare: parsed.preparePorts, unpreparedRemedy }),
    render: (steps) => renderSteps(steps).map((line) => line.text),
  };
};
