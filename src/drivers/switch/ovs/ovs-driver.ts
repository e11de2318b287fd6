import {
  DeviceError,
  plainPortId,
  planPorts,
  type ObservedSwitch,
  type SwitchDriver,
  type SwitchDriverFactory,
  type SwitchIntent,
  type SwitchType,
} from '../../../../plugin-api/index.ts';
import { OvsSession } from './ovs-session.ts';
import { renderSteps } from './render.ts';
import { ovsSettings } from './settings.ts';

/** Open vSwitch, through its database (RFC 7047). */
export const ovsType: SwitchType = {
  type: 'OVS',
  defaultTransport: 'unix',
  // 6640 is the port that IANA gave to the protocol.
  transports: { unix: null, tcp: 6640, ssl: 6640 },
  parsePort: plainPortId,
};

/** Drives one bridge of an Open vSwitch. @param settings see `ovsSettings` */
export const createOvsDriver: SwitchDriverFactory = (context, settings): SwitchDriver => {
  const parsed = ovsSettings.parse(settings ?? {});
  return {
    type: ovsType.type,
    // The database server sets no limit; each session costs it next to nothing.
    open: (target, signal) => OvsSession.open(target, parsed, context, signal),
    plan: (observed, intent) => {
      checkIntent(observed, intent);
      return planPorts(withPreparable(observed, intent), intent, {
        prepare: parsed.preparePorts,
        unpreparedRemedy,
      });
    },
    render: (steps) => renderSteps(steps, parsed.shutBridge),
  };
};

const unpreparedRemedy =
  'say which VLANs the port is in: ovs-vsctl set port PORT tag=VLAN, or vlan_mode=trunk trunks=VLANS; or let csbm do it ' +
  '(preparePorts: true); see docs/switch-ovs.md';

/** What Open vSwitch cannot express, or only in a way that opens a port to everything. */
function checkIntent(observed: ObservedSwitch, intent: SwitchIntent): void {
  for (const [port, desired] of intent.ports) {
    if (desired.native !== null || desired.tagged.length > 0 || desired.admin === 'down') continue;
    throw new DeviceError({
      code: 'switch.vlan-guarded',
      what: 'the port shall be up and in no VLAN, which Open vSwitch takes for all VLANs',
      where: port,
      remedy: 'shut the port',
    });
  }
  const open = intent.uplinks.find((port) => observed.ports.get(port)?.prepared === false);
  if (open === undefined || intent.carried.length === 0) return;
  throw new DeviceError({
    code: 'switch.unprepared',
    what: 'the uplink carries every VLAN, because nothing was said about it; adding one would take all others off',
    where: open,
    remedy: `say which VLANs it carries already: ovs-vsctl set port ${open} vlan_mode=trunk trunks=4095 (4095 = none)`,
  });
}

/**
 * A port that is in no VLAN at all, where there is a default VLAN, is to be prepared before it is of use: it is not in that
 * VLAN, and there is no other VLAN that it could leave for it.
 */
function withPreparable(observed: ObservedSwitch, intent: SwitchIntent): ObservedSwitch {
  if (observed.defaultVlan === null) return observed;
  const ports = [...observed.ports].map(([id, port]) => {
    const nowhere = intent.ports.has(id) && port.native === null && port.tagged.length === 0;
    return [id, nowhere ? { ...port, prepared: false } : port] as const;
  });
  return { ...observed, ports: new Map(ports) };
}
