import { DeviceError } from './device-error.ts';
import type { PortId } from './port-id.ts';
import type {
  DesiredPort,
  ObservedPort,
  ObservedSwitch,
  ObservedVlan,
  SwitchIntent,
  SwitchStep,
} from './switch.ts';
import type { VlanId } from './vlan-id.ts';

/** What marks a VLAN as made by us: its description starts with this. Only such a VLAN is ever deleted. */
export const ourVlanPrefix = 'csbm-';

export interface PlanOptions {
  /** May a port that is in no VLAN but the default one be prepared (OS9: `portmode hybrid`)? Else it is refused. */
  readonly prepare: boolean;
  /** The switch's name, for messages. */
  readonly where?: string | undefined;
  /** What a person does about a port that is not prepared, in the terms of this type of switch. */
  readonly unpreparedRemedy?: string | undefined;
}

/**
 * Ordered steps from what a switch shows to what is wanted of it; pure; empty when nothing is to be done.
 *
 * Each port goes: shut, prepare, leave tagged VLANs, leave the native VLAN, join the new native VLAN, join tagged VLANs, up.
 * It is shut for as long as its native VLAN moves, because between leaving and joining it sits in the default VLAN, which
 * may be the provisioning network. The steps of all ports are merged phase by phase and sorted by VLAN, so that a driver
 * whose device is configured VLAN by VLAN enters each once.
 *
 * @throws DeviceError `switch.port-unknown`, `switch.port-guarded`, `switch.unprepared`, `switch.vlan-guarded`; nothing is planned then.
 */
export function planPorts(
  observed: ObservedSwitch,
  intent: SwitchIntent,
  options: PlanOptions,
): readonly SwitchStep[] {
  const changes = [...intent.ports].map(([port, desired]) =>
    planPort(port, seenPort(observed, port, options), desired, observed, intent, options),
  );
  const uplinks = planUplinks(observed, intent, options);
  const wanted = wantedVlans(observed, intent);
  const retired = [...new Set(intent.retired)].filter(
    (vlan) => !wanted.has(vlan) && vlan !== observed.defaultVlan && isAbandoned(vlan, observed, intent),
  );

  const missing = ascending([...wanted].filter((vlan) => !observed.vlans.has(vlan)));
  return [
    ...missing.map((vlan) => ({ do: 'ensure-vlan', vlan, description: `${ourVlanPrefix}${vlan}` }) as const),
    ...changes.flatMap((change) => change.shut),
    ...changes.flatMap((change) => change.prepare),
    ...byVlan(changes.flatMap((change) => change.leaveTagged)),
    ...byVlan(changes.flatMap((change) => change.leaveNative)),
    ...byVlan(changes.flatMap((change) => change.native)),
    ...byVlan([...changes.flatMap((change) => change.tagged), ...uplinks]),
    ...changes.flatMap((change) => change.raise),
    ...ascending(retired).flatMap((vlan) => retire(vlan, observed, intent)),
  ];
}

/**
 * Whether a port is what it shall be. `native: null` with `admin: 'down'` is also met in the default VLAN, where the switch
 * has no other place for a port without a VLAN.
 * @param defaultVlan the switch's default VLAN, for a desired state that names it by its id
 */
export function portSatisfies(
  observed: Pick<ObservedPort, 'native' | 'tagged' | 'admin'>,
  desired: DesiredPort,
  defaultVlan: VlanId | null = null,
): boolean {
  const native = nativeOf(desired, defaultVlan);
  const nativeMet =
    observed.native === native ||
    (native === null && desired.admin === 'down' && observed.native === 'default');
  return (
    nativeMet &&
    observed.admin === desired.admin &&
    without(observed.tagged, desired.tagged).length === 0 &&
    without(desired.tagged, observed.tagged).length === 0
  );
}

/** One line for people: `native 100, tagged 200,300, up`. */
export function describePort(port: DesiredPort | ObservedPort): string {
  const tagged = port.tagged.length > 0 ? ascending(port.tagged).join(',') : 'none';
  const notes = [
    'prepared' in port && !port.prepared ? 'not prepared' : null,
    'guarded' in port && port.guarded !== null ? `left alone: ${port.guarded}` : null,
  ].filter((note) => note !== null);
  const text = `native ${port.native ?? 'none'}, tagged ${tagged}, ${port.admin}`;
  return notes.length > 0 ? `${text} (${notes.join('; ')})` : text;
}

type VlanStep = Extract<SwitchStep, { port: PortId; vlan: VlanId }>;

/** The steps of one port, by phase. */
interface PortChange {
  readonly shut: readonly SwitchStep[];
  readonly prepare: readonly SwitchStep[];
  readonly leaveTagged: readonly VlanStep[];
  readonly leaveNative: readonly VlanStep[];
  readonly native: readonly VlanStep[];
  readonly tagged: readonly VlanStep[];
  readonly raise: readonly SwitchStep[];
}

function planPort(
  port: PortId,
  seen: ObservedPort,
  desired: DesiredPort,
  observed: ObservedSwitch,
  intent: SwitchIntent,
  options: PlanOptions,
): PortChange {
  const { defaultVlan } = observed;
  const target = nativeOf(desired, defaultVlan);
  if (intent.uplinks.includes(port)) throw guarded(port, options, 'it is an uplink');
  if (seen.guarded !== null) throw guarded(port, options, seen.guarded);
  checkVlans(port, desired, target, defaultVlan, options);

  const leaves = typeof seen.native === 'number' && seen.native !== target ? seen.native : null;
  const joins = typeof target === 'number' && target !== seen.native ? target : null;
  const added = without(desired.tagged, seen.tagged);
  // A port outside layer 2 is not in the default VLAN either; preparing it puts it there.
  const needsDefault = target === 'default' && seen.native === null;
  const prepares = !seen.prepared && (joins !== null || added.length > 0 || needsDefault);
  if (prepares) checkPreparable(port, seen, options);
  const removed = without(seen.tagged, desired.tagged);
  if (needsDefault && seen.prepared && removed.length === 0) throw notInDefault(port, options);

  const moves = leaves !== null || joins !== null || needsDefault || prepares;
  const shut = seen.admin === 'up' && (desired.admin === 'down' || moves);
  const raise = desired.admin === 'up' && (seen.admin === 'down' || shut);
  return {
    shut: shut ? [{ do: 'set-admin', port, admin: 'down' }] : [],
    prepare: prepares ? [{ do: 'prepare-port', port }] : [],
    leaveTagged: removed.map((vlan) => ({ do: 'remove-tagged', port, vlan }) as const),
    leaveNative: leaves === null ? [] : [{ do: 'remove-native', port, vlan: leaves }],
    native: joins === null ? [] : [{ do: 'set-native', port, vlan: joins }],
    tagged: added.map((vlan) => ({ do: 'add-tagged', port, vlan }) as const),
    raise: raise ? [{ do: 'set-admin', port, admin: 'up' }] : [],
  };
}

function checkVlans(
  port: PortId,
  desired: DesiredPort,
  target: DesiredPort['native'],
  defaultVlan: VlanId | null,
  options: PlanOptions,
): void {
  const refuse = (what: string): DeviceError =>
    new DeviceError({ code: 'switch.vlan-guarded', what, where: place(port, options) });
  if (target === 'default' && defaultVlan === null)
    throw refuse('the port shall be in the default VLAN, but this switch has none');
  if (target === null && desired.admin === 'up' && defaultVlan !== null)
    throw refuse(`a port that is up without a native VLAN would sit in the default VLAN ${defaultVlan}`);
  if (defaultVlan !== null && desired.tagged.includes(defaultVlan))
    throw refuse(`VLAN ${defaultVlan} is the default VLAN of the switch and takes untagged ports only`);
  if (typeof target === 'number' && desired.tagged.includes(target))
    throw refuse(`VLAN ${target} cannot be both native and tagged on one port`);
}

/** Membership in the default VLAN is implicit: there is nothing to send that would bring the port there. */
function notInDefault(port: PortId, options: PlanOptions): DeviceError {
  return new DeviceError({
    code: 'switch.vlan-guarded',
    what: 'the port shall be in the default VLAN and leaves no other, yet the switch does not show it there',
    where: place(port, options),
  });
}

function checkPreparable(port: PortId, seen: ObservedPort, options: PlanOptions): void {
  const used = typeof seen.native === 'number' || seen.tagged.length > 0;
  if (!used && options.prepare) return;
  throw new DeviceError({
    code: 'switch.unprepared',
    what: used
      ? `the port is not prepared, and is in use (${describePort(seen)}), so it is not prepared behind anybody's back`
      : 'the port is not prepared, and preparing ports is switched off',
    where: place(port, options),
    remedy: options.unpreparedRemedy,
  });
}

/** Uplinks gain VLANs, nothing else. */
function planUplinks(observed: ObservedSwitch, intent: SwitchIntent, options: PlanOptions): VlanStep[] {
  if (intent.carried.length === 0) return [];
  if (observed.defaultVlan !== null && intent.carried.includes(observed.defaultVlan)) {
    throw new DeviceError({
      code: 'switch.vlan-guarded',
      what: `VLAN ${observed.defaultVlan} is the default VLAN of the switch and cannot be tagged on uplinks`,
      where: options.where,
    });
  }
  return intent.uplinks.flatMap((port) => {
    const seen = seenPort(observed, port, options);
    const gained = without(intent.carried, seen.tagged);
    if (gained.length === 0) return [];
    if (seen.guarded !== null) throw guarded(port, options, seen.guarded);
    // The first tagged VLAN turns a port that cannot carry both into a tagged-only one: it would drop out of its native VLAN.
    const dropsOut = seen.native === 'default' ? intent.shutDuringMove : seen.native !== null;
    if (!seen.prepared && dropsOut) {
      throw new DeviceError({
        code: 'switch.unprepared',
        what: `tagging VLANs on this uplink would take it out of its native VLAN (${describePort(seen)})`,
        where: place(port, options),
        remedy: options.unpreparedRemedy,
      });
    }
    return gained.map((vlan) => ({ do: 'add-tagged', port, vlan }) as const);
  });
}

/** Whether nobody is left in a VLAN but uplinks: a port that is not ours keeps it as it is. */
function isAbandoned(vlan: VlanId, observed: ObservedSwitch, intent: SwitchIntent): boolean {
  const seen = observed.vlans.get(vlan);
  if (!seen) return false;
  const shown = [...observed.ports].filter(([, port]) => isIn(port, vlan)).map(([id]) => id);
  return [...shown, ...(seen.members ?? [])].every(
    (port) => intent.uplinks.includes(port) || intent.ports.has(port),
  );
}

function retire(vlan: VlanId, observed: ObservedSwitch, intent: SwitchIntent): SwitchStep[] {
  const uplinks = intent.uplinks.map((port) => [port, observed.ports.get(port)] as const);
  const removed = uplinks
    .filter(([, seen]) => seen?.tagged.includes(vlan))
    .map(([port]) => ({ do: 'remove-tagged', port, vlan }) as const);
  const seen: ObservedVlan = observed.vlans.get(vlan)!;
  // Uplinks that were not read, or have it untagged, stay members.
  const leaving = new Set<PortId>([...removed.map((step) => step.port), ...intent.ports.keys()]);
  const emptied =
    uplinks.every(([, port]) => port !== undefined && port.native !== vlan) &&
    (seen.members ?? []).every((port) => leaving.has(port));
  return seen.ours && emptied ? [...removed, { do: 'delete-vlan', vlan }] : removed;
}

function wantedVlans(observed: ObservedSwitch, intent: SwitchIntent): Set<VlanId> {
  const wanted = new Set<VlanId>(intent.carried);
  for (const desired of intent.ports.values()) {
    const native = nativeOf(desired, observed.defaultVlan);
    if (typeof native === 'number') wanted.add(native);
    for (const vlan of desired.tagged) wanted.add(vlan);
  }
  return wanted;
}

/** The default VLAN is never joined by its id: membership there is implicit. */
function nativeOf(desired: DesiredPort, defaultVlan: VlanId | null): DesiredPort['native'] {
  return desired.native !== null && desired.native === defaultVlan ? 'default' : desired.native;
}

function isIn(port: ObservedPort, vlan: VlanId): boolean {
  return port.native === vlan || port.tagged.includes(vlan);
}

function seenPort(observed: ObservedSwitch, port: PortId, options: PlanOptions): ObservedPort {
  const seen = observed.ports.get(port);
  if (seen) return seen;
  throw new DeviceError({
    code: 'switch.port-unknown',
    what: 'the switch has no such port',
    where: place(port, options),
  });
}

function guarded(port: PortId, options: PlanOptions, why: string): DeviceError {
  return new DeviceError({
    code: 'switch.port-guarded',
    what: `the port is left alone: ${why}`,
    where: place(port, options),
  });
}

function place(port: PortId, options: PlanOptions): string {
  return options.where === undefined ? port : `${options.where} ${port}`;
}

/** Stable, so that the order of ports stays within each VLAN. */
function byVlan(steps: readonly VlanStep[]): VlanStep[] {
  return [...steps].sort((a, b) => a.vlan - b.vlan);
}

function ascending(vlans: readonly VlanId[]): VlanId[] {
  return [...vlans].sort((a, b) => a - b);
}

/** The VLANs of `all`, each once, that `others` lacks. */
function without(all: readonly VlanId[], others: readonly VlanId[]): VlanId[] {
  return ascending([...new Set(all)].filter((vlan) => !others.includes(vlan)));
}
