/** Sensor types (IPMI 2.0, table 42-3), by number. */
const sensorTypes: Readonly<Record<number, string>> = {
  0x01: 'Temperature',
  0x02: 'Voltage',
  0x03: 'Current',
  0x04: 'Fan',
  0x05: 'Physical Security',
  0x06: 'Platform Security',
  0x07: 'Processor',
  0x08: 'Power Supply',
  0x09: 'Power Unit',
  0x0a: 'Cooling Device',
  0x0b: 'Other Units-based Sensor',
  0x0c: 'Memory',
  0x0d: 'Drive Slot',
  0x0e: 'POST Memory Resize',
  0x0f: 'System Firmware Progress',
  0x10: 'Event Logging Disabled',
  0x11: 'Watchdog 1',
  0x12: 'System Event',
  0x13: 'Critical Interrupt',
  0x14: 'Button',
  0x15: 'Module / Board',
  0x16: 'Microcontroller',
  0x17: 'Add-in Card',
  0x18: 'Chassis',
  0x19: 'Chip Set',
  0x1b: 'Cable / Interconnect',
  0x1c: 'Terminator',
  0x1d: 'System Boot Initiated',
  0x1e: 'Boot Error',
  0x1f: 'OS Boot',
  0x20: 'OS Stop',
  0x21: 'Slot / Connector',
  0x22: 'System ACPI Power State',
  0x23: 'Watchdog 2',
  0x24: 'Platform Alert',
  0x25: 'Entity Presence',
  0x26: 'Monitor ASIC',
  0x27: 'LAN',
  0x28: 'Management Subsystem Health',
  0x29: 'Battery',
  0x2a: 'Session Audit',
  0x2b: 'Version Change',
  0x2c: 'FRU State',
};

const thresholdType = 0x01;
const sensorSpecific = 0x6f;

/** What the offset of an event means for generic event types (table 42-2). */
const genericEvents: Readonly<Record<number, readonly string[]>> = {
  [thresholdType]: [
    'lower non-critical, going low',
    'lower non-critical, going high',
    'lower critical, going low',
    'lower critical, going high',
    'lower non-recoverable, going low',
    'lower non-recoverable, going high',
    'upper non-critical, going low',
    'upper non-critical, going high',
    'upper critical, going low',
    'upper critical, going high',
    'upper non-recoverable, going low',
    'upper non-recoverable, going high',
  ],
  0x02: ['idle', 'active', 'busy'],
  0x03: ['state deasserted', 'state asserted'],
  0x04: ['predictive failure deasserted', 'predictive failure'],
  0x05: ['limit not exceeded', 'limit exceeded'],
  0x06: ['performance met', 'performance lags'],
  0x07: [
    'OK',
    'non-critical',
    'critical',
    'non-recoverable',
    'non-critical, from a worse state',
    'critical, from non-recoverable',
    'non-recoverable',
    'monitor',
    'informational',
  ],
  0x08: ['absent', 'present'],
  0x09: ['disabled', 'enabled'],
  0x0a: [
    'running',
    'in test',
    'power off',
    'on line',
    'off line',
    'off duty',
    'degraded',
    'power save',
    'install error',
  ],
  0x0b: [
    'fully redundant',
    'redundancy lost',
    'redundancy degraded',
    'non-redundant, sufficient, from redundant',
    'non-redundant, sufficient, from insufficient',
    'non-redundant, insufficient',
    'redundancy degraded from fully redundant',
    'redundancy degraded from non-redundant',
  ],
  0x0c: ['D0', 'D1', 'D2', 'D3'],
};

/** The same for events peculiar to a sensor type (table 42-3), where they are common. */
const specificEvents: Readonly<Record<number, readonly string[]>> = {
  0x05: [
    'chassis intrusion',
    'drive bay intrusion',
    'I/O card area intrusion',
    'processor area intrusion',
    'LAN leash lost',
    'unauthorized dock',
    'fan area intrusion',
  ],
  0x07: [
    'IERR',
    'thermal trip',
    'FRB1/BIST failure',
    'FRB2/hang in POST',
    'FRB3/startup failure',
    'configuration error',
    'uncorrectable CPU error',
    'present',
    'disabled',
    'terminator present',
    'throttled',
    'uncorrectable machine check',
    'correctable machine check',
  ],
  0x08: [
    'present',
    'failure',
    'predictive failure',
    'input lost (AC/DC)',
    'input lost or out of range',
    'input out of range',
    'configuration error',
    'inactive',
  ],
  0x09: [
    'power off',
    'power cycle',
    '240 VA power down',
    'interlock power down',
    'AC lost',
    'soft power control failure',
    'failure',
    'predictive failure',
  ],
  0x0c: [
    'correctable ECC',
    'uncorrectable ECC',
    'parity error',
    'memory scrub failed',
    'memory device disabled',
    'correctable ECC logging limit reached',
    'present',
    'configuration error',
    'spare',
    'throttled',
    'critical over-temperature',
  ],
  0x0d: [
    'present',
    'fault',
    'predictive failure',
    'hot spare',
    'consistency check in progress',
    'in critical array',
    'in failed array',
    'rebuild in progress',
    'rebuild aborted',
  ],
  0x0f: ['POST error', 'POST hang', 'POST progress'],
  0x10: [
    'correctable memory error logging disabled',
    'event logging disabled',
    'log cleared',
    'all event logging disabled',
    'log full',
    'log almost full',
  ],
  0x12: [
    'system reconfigured',
    'OEM boot event',
    'undetermined hardware failure',
    'entry added to auxiliary log',
    'PEF action',
    'clock synchronised',
  ],
  0x13: [
    'front panel NMI',
    'bus timeout',
    'I/O channel check NMI',
    'software NMI',
    'PCI PERR',
    'PCI SERR',
    'EISA fail safe timeout',
    'bus correctable error',
    'bus uncorrectable error',
    'fatal NMI',
    'bus fatal error',
    'bus degraded',
  ],
  0x14: [
    'power button pressed',
    'sleep button pressed',
    'reset button pressed',
    'FRU latch open',
    'FRU service',
  ],
  0x1d: [
    'power up',
    'hard reset',
    'warm reset',
    'PXE boot requested by a person',
    'boot to diagnostics',
    'restarted by OS',
    'initiated by BMC',
  ],
  0x1e: [
    'no bootable media',
    'non-bootable disk',
    'PXE server not found',
    'invalid boot sector',
    'selection timeout',
  ],
  0x1f: [
    'A: boot completed',
    'C: boot completed',
    'PXE boot completed',
    'diagnostic boot completed',
    'CD boot completed',
    'ROM boot completed',
    'boot completed',
  ],
  0x20: [
    'critical stop during load',
    'run-time critical stop',
    'graceful stop',
    'graceful shutdown',
    'soft shutdown by PEF',
    'agent not responding',
  ],
  0x22: ['S0/G0 working', 'S1', 'S2', 'S3', 'S4', 'S5/G2 soft off', 'S4/S5 soft off', 'G3 mechanical off'],
  0x23: [
    'timer expired',
    'hard reset',
    'power down',
    'power cycle',
    'reserved',
    'reserved',
    'reserved',
    'reserved',
    'timer interrupt',
  ],
  0x25: ['present', 'absent', 'disabled'],
  0x28: [
    'sensor access degraded',
    'controller access degraded',
    'controller off line',
    'controller unavailable',
    'sensor failure',
    'FRU failure',
  ],
  0x29: ['low', 'failed', 'present'],
  0x2b: [
    'hardware change detected',
    'firmware change detected',
    'hardware incompatible',
    'firmware incompatible',
  ],
};

/** `Temperature`, or `type C0h` for what only its vendor knows. */
export function sensorTypeText(type: number): string {
  return sensorTypes[type] ?? `type ${hex(type)}`;
}

/** What happened: by the sensor type, the event/reading type and the offset (the low four bits of an event's first data byte). */
export function eventText(sensorType: number, eventType: number, offset: number): string {
  const texts = eventType === sensorSpecific ? specificEvents[sensorType] : genericEvents[eventType];
  return texts?.[offset] ?? `event ${hex(offset)} of type ${hex(eventType)}`;
}

/** The crossed thresholds in a reading's state bits (table 35-14). */
const crossed = [
  'below lower non-critical',
  'below lower critical',
  'below lower non-recoverable',
  'above upper non-critical',
  'above upper critical',
  'above upper non-recoverable',
];

/** The asserted states of a reading, in words. */
export function stateTexts(sensorType: number, readingType: number, states: number): readonly string[] {
  const count = readingType === thresholdType ? crossed.length : 15;
  return Array.from({ length: count }, (_, bit) => bit)
    .filter((bit) => (states >> bit) & 1)
    .map((bit) => (readingType === thresholdType ? crossed[bit]! : eventText(sensorType, readingType, bit)));
}

/** Units (IPMI 2.0, table 43-15) that are met in servers. */
const units: Readonly<Record<number, string>> = {
  1: '°C',
  2: '°F',
  3: 'K',
  4: 'V',
  5: 'A',
  6: 'W',
  7: 'J',
  17: 'CFM',
  18: 'RPM',
  19: 'Hz',
  20: 'µs',
  21: 'ms',
  22: 's',
  23: 'min',
  24: 'h',
  65: 'bit',
  70: 'B',
};

/** null = none, or one that is not met in servers. */
export function unitText(unit: number, percent: boolean): string | null {
  return percent ? '%' : (units[unit] ?? null);
}

function hex(value: number): string {
  return `${value.toString(16).toUpperCase().padStart(2, '0')}h`;
}
