import type { FaultKind } from '../fault.ts';
import { bmcFaults } from './bmc-faults.ts';
import { cloudFaults } from './cloud-faults.ts';
import { machineFaults } from './machine-faults.ts';
import { storeFaults } from './store-faults.ts';
import { switchFaults } from './switch-faults.ts';
import { upstreamFaults } from './upstream-faults.ts';

/** Every kind of fault that a run may draw. */
export const faultKinds: readonly FaultKind[] = [
  ...switchFaults,
  ...bmcFaults,
  ...machineFaults,
  ...cloudFaults,
  ...storeFaults,
  ...upstreamFaults,
];
