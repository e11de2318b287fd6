import { isDeepStrictEqual } from 'node:util';
import {
  DeviceError,
  describePort,
  minutes,
  portSatisfies,
  type Evidence,
  type ObservedSwitch,
  type PortId,
} from '../../../plugin-api/index.ts';
import type { PortRecord } from '../../core/network/port-state.ts';
import type { Switch } from '../../core/rack/wiring.ts';
import type { PortReading } from '../quarantine/device-watch.ts';
import type { Wanted } from './wanted.ts';

/** How old a reading may get that is confirmed again and again. */
export const oldReading = minutes(1);

export type PortObservation = Pick<
  PortRecord,
  'switch' | 'port' | 'observed' | 'observedVersion' | 'observedAt'
>;

/** What a switch shows, beside what is wanted of it. */
export interface ReadBack {
  readonly evidence: ReadonlyMap<PortId, Evidence>;
  readonly readings: readonly PortReading[];
  /** What is worth a write: a port that shows something else than when it was last read, or was so a while ago. */
  readonly news: readonly PortObservation[];
  /** Ports that are not as they are wanted, and what they are instead. */
  readonly wrong: ReadonlyMap<PortId, string>;
  /** `switch.not-verified` where the uplinks do not carry what they should: that concerns everybody. */
  readonly uplinkFault: DeviceError | null;
}

/** @param now epoch milliseconds */
export function readBack(
  at: Switch,
  { records, intent }: Wanted,
  observed: ObservedSwitch,
  now: number,
): ReadBack {
  const ports = records.map((record) => {
    const port = observed.ports.get(record.port);
    const asDesired = port !== undefined && portSatisfies(port, record.desired, observed.defaultVlan);
    const observation: PortObservation = {
      switch: at.name,
      port: record.port,
      observed: port ?? null,
      observedVersion: asDesired ? record.desiredVersion : record.observedVersion,
      observedAt: now,
    };
    return { record, observation, asDesired, shown: port ? describePort(port) : 'not there' };
  });
  return {
    evidence: new Map(
      ports.map(({ record: { port }, shown }) => [
        port,
        { summary: `${at.name} ${port}: ${shown} (read back)`, verified: true },
      ]),
    ),
    readings: ports.map(({ observation: { port, observed }, asDesired }) => ({ port, observed, asDesired })),
    news: ports
      .filter(({ observation, record }) => isNews(observation, record))
      .map(({ observation }) => observation),
    wrong: new Map(
      ports.filter(({ asDesired }) => !asDesired).map(({ record, shown }) => [record.port, shown]),
    ),
    uplinkFault: uplinkFault(at, observed, intent.carried),
  };
}

/** Why somebody who asked for these ports does not have them; null = they are as wanted. */
export function portFault(at: Switch, { wrong }: ReadBack, ports: readonly PortId[]): DeviceError | null {
  const mine = ports.filter((port) => wrong.has(port));
  if (mine.length === 0) return null;
  return notVerified(
    at,
    `read back after the change: ${mine.map((port) => `${port} is ${wrong.get(port)}`).join('; ')}`,
  );
}

function isNews(now: PortObservation, last: PortRecord): boolean {
  return (
    last.observedAt === null ||
    Math.abs(now.observedAt! - last.observedAt) > oldReading ||
    now.observedVersion !== last.observedVersion ||
    !isDeepStrictEqual(now.observed, last.observed)
  );
}

function uplinkFault(
  at: Switch,
  observed: ObservedSwitch,
  carried: Wanted['intent']['carried'],
): DeviceError | null {
  for (const uplink of at.uplinks) {
    const tagged = observed.ports.get(uplink)?.tagged ?? [];
    const missing = carried.filter((vlan) => !tagged.includes(vlan));
    if (missing.length > 0)
      return notVerified(at, `uplink ${uplink} does not carry VLAN ${missing.join(', ')}`);
  }
  return null;
}

function notVerified(at: Switch, what: string): DeviceError {
  return new DeviceError({ code: 'switch.not-verified', what, where: at.name });
}
