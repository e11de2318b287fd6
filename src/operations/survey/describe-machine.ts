import type { Machine } from '../../core/machine/machine.ts';

/** A machine and its BMC, for people. */
export function describeMachine({ hostname, bmc }: Machine): string {
  return bmc ? `${hostname}, BMC ${bmc.host}:${bmc.port}` : hostname;
}
