import type { SwitchStep } from '../../../../plugin-api/index.ts';
import { atOnce } from './changes.ts';
import { vlanKeyOf } from './snapshot.ts';

/** What the one transaction changes, in the names of the database's columns. @param shutBridge the bridge for ports that are shut */
export function renderSteps(steps: readonly SwitchStep[], shutBridge: string): readonly string[] {
  return atOnce(steps).map((step) => line(step, shutBridge));
}

function line(step: SwitchStep, shutBridge: string): string {
  switch (step.do) {
    case 'ensure-vlan':
      return `bridge: external_ids:${vlanKeyOf(step.vlan)}=${step.description}`;
    case 'delete-vlan':
      return `bridge: no external_ids:${vlanKeyOf(step.vlan)}`;
    case 'prepare-port':
      return `port ${step.port}: trunks = none, instead of all VLANs`;
    case 'set-admin':
      return step.admin === 'down'
        ? `port ${step.port}: to bridge ${shutBridge}`
        : `port ${step.port}: back from bridge ${shutBridge}`;
    case 'remove-tagged':
      return `port ${step.port}: trunks - ${step.vlan}`;
    case 'add-tagged':
      return `port ${step.port}: trunks + ${step.vlan}`;
    case 'remove-native':
      return `port ${step.port}: tag - ${step.vlan}`;
    case 'set-native':
      return `port ${step.port}: tag = ${step.vlan}`;
  }
}
