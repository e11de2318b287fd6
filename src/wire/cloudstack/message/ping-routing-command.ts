import type { BodyEntry } from '../body.ts';
import { gsonText } from '../gson-writer.ts';
import { agentStyle, commandBase } from './command-base.ts';

export const pingRoutingCommandClass = 'com.cloud.agent.api.PingRoutingCommand';

export type PowerState = 'PowerOn' | 'PowerOff';

/**
 * Power of every instance of a host by instance name. It must be complete: the server takes an instance that is missing from it as
 * stopped and releases its resources.
 */
export type PowerReport = ReadonlyMap<string, PowerState>;

/**
 * A ping; with `report` null the field is absent and the server keeps what it knows.
 * @param ping.outOfBand the power changed without a command of the server's: the report counts at once, without grace (4.19+)
 */
export function pingRoutingCommand(ping: {
  readonly hostId: bigint;
  readonly hostName: string;
  readonly report: PowerReport | null;
  readonly outOfBand?: boolean;
}): BodyEntry {
  const states =
    ping.report === null
      ? null
      : Object.fromEntries([...ping.report].map(([name, state]) => [name, { state, host: ping.hostName }]));
  const text = gsonText(
    {
      _hostVmStateReport: states,
      // False would raise an alert at the server; a bare-metal host has no gateway of its own to test.
      _gatewayAccessible: true,
      _vnetAccessible: true,
      hostType: 'Routing',
      hostId: ping.hostId,
      outOfBand: ping.outOfBand ?? false,
      commandInfos: [],
      ...commandBase(),
    },
    agentStyle,
  );
  return { className: pingRoutingCommandClass, text };
}
