import type { SwitchDriverFactory, SwitchType } from '../../../plugin-api/index.ts';
import { createForce10CliDriver, force10Type } from './force10-cli/index.ts';
import { createOvsDriver, ovsType } from './ovs/index.ts';

/** A switch type, and what drives it. */
export interface SwitchRegistration {
  readonly type: SwitchType;
  readonly create: SwitchDriverFactory;
}

/** The switch drivers of this build: a new one is one line here. */
const registrations: readonly SwitchRegistration[] = [
  { type: force10Type, create: createForce10CliDriver },
  { type: ovsType, create: createOvsDriver },
];

/** By the value of `l2Switch.type`. */
export const switchRegistry: ReadonlyMap<string, SwitchRegistration> = new Map(
  registrations.map((entry) => [entry.type.type, entry]),
);

/** What a rack config may name. */
export const switchTypes: ReadonlyMap<string, SwitchType> = new Map(
  registrations.map(({ type }) => [type.type, type]),
);
