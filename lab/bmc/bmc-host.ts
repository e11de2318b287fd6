import type { PowerState } from '../../plugin-api/index.ts';

export type HostAction = 'on' | 'off' | 'cycle' | 'reset' | 'soft';

/** What the boot flags say at the moment the host starts; `none` = the firmware's own order. */
export interface HostBoot {
  readonly device: 'none' | 'pxe' | 'disk';
  readonly efi: boolean;
}

/** The machine that a BMC controls. The BMC does not own it: it only asks for its power and tells it what to do. */
export interface BmcHost {
  power(): PowerState;
  /** `boot` matters for on, cycle and reset. Only called for what has an effect in the present power state. */
  control(action: HostAction, boot: HostBoot): void;
}
