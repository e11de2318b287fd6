import type { ObservedPort, PortAdmin, PortId, SwitchStep, VlanId } from '../../../../plugin-api/index.ts';

/** What a port is once all steps are done. */
export interface PortChange {
  readonly native: VlanId | null;
  /** Ascending. */
  readonly tagged: readonly VlanId[];
  readonly admin: PortAdmin;
}

/**
 * The steps that are left when all of them happen at once. A port that is shut only for as long as its native VLAN moves is
 * not shut: it goes from the one VLAN to the other without a moment in between.
 */
export function atOnce(steps: readonly SwitchStep[]): readonly SwitchStep[] {
  const admin = (wanted: PortAdmin): ReadonlySet<PortId> =>
    new Set(steps.flatMap((step) => (step.do === 'set-admin' && step.admin === wanted ? [step.port] : [])));
  const shut = admin('down');
  const opened = admin('up');
  return steps.filter((step) => step.do !== 'set-admin' || !shut.has(step.port) || !opened.has(step.port));
}

/** The steps as one change for each port. @param defaultVlan what a port falls back to that leaves its native VLAN */
export function portChanges(
  steps: readonly SwitchStep[],
  observed: ReadonlyMap<PortId, ObservedPort>,
  defaultVlan: VlanId | null,
): ReadonlyMap<PortId, PortChange> {
  const changes = new Map<PortId, PortChange>();
  for (const step of atOnce(steps)) {
    if (!('port' in step)) continue;
    const before = changes.get(step.port) ?? asChange(observed.get(step.port)!, defaultVlan);
    changes.set(step.port, { ...before, ...changed(step, before, defaultVlan) });
  }
  return changes;
}

type PortStep = Extract<SwitchStep, { port: PortId }>;

function changed(
  step: PortStep,
  { native, tagged }: PortChange,
  defaultVlan: VlanId | null,
): Partial<PortChange> {
  switch (step.do) {
    case 'set-admin':
      return { admin: step.admin };
    case 'prepare-port':
      return { native: native ?? defaultVlan };
    case 'remove-tagged':
      return { tagged: tagged.filter((vlan) => vlan !== step.vlan) };
    case 'remove-native':
      return { native: defaultVlan };
    case 'set-native':
      return { native: step.vlan };
    case 'add-tagged':
      return { tagged: [...new Set([...tagged, step.vlan])].sort((a, b) => a - b) };
  }
}

function asChange({ native, tagged, admin }: ObservedPort, defaultVlan: VlanId | null): PortChange {
  return { native: native === 'default' ? defaultVlan : native, tagged, admin };
}
