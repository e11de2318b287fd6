import type { DeviceContext, FirstBootData, NicPlan, OrderNotes } from '../../../../plugin-api/index.ts';
import type { MaasApi } from './maas-api.ts';
import type { MaasSettings } from './maas-settings.ts';
import type { MaasMachine } from './maas-shapes.ts';
import type { NotedMoments } from './noted-moments.ts';

/** What the engine of an upstream MAAS needs of its host. */
export interface MaasHost extends DeviceContext {
  readonly notes: OrderNotes;
  /** The NoCloud files of a deployment: `meta-data`, `user-data`, `network-config`. */
  firstBootFiles(data: FirstBootData, plan: NicPlan): Readonly<Record<string, string>>;
}

/** What each phase works with. */
export interface PhaseParts {
  readonly api: MaasApi;
  readonly host: MaasHost;
  readonly settings: MaasSettings;
  readonly moments: NotedMoments;
}

/** Under which name the order of a machine stands in MAAS. */
export const orderKey = 'csbm_order';

/** What MAAS's events say of a request under an order. */
export function commentOf(orderId: string): string {
  return `csbm ${orderId}`;
}

/** Whether the machine is ours in MAAS, and stands there under this order. */
export function isUnder(machine: MaasMachine, me: string, orderId: string): boolean {
  return machine.owner === me && machine.owner_data?.[orderKey] === orderId;
}
