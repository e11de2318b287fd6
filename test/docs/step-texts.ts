/** What each step does, in words for operators; keyed by step name, or by `list/step` where a list means something of its own. */
export interface StepText {
  readonly does: string;
  /** The way back, where the step has one. */
  readonly undo?: string;
}

const order = 'takes the order back: nothing is handed out for it any more';
const powerOn = 'power off, confirmed; where that fails, every port is shut (the fence)';
const backToProvisioning = 'ports back to the provisioning network, only while off, read back';

export const stepTexts: Readonly<Record<string, StepText>> = {
  'bmc.probe': { does: 'Logs in to the BMC; keeps the cipher suite that it speaks.' },
  'wiring.check': { does: 'Finds the ports of its MACs in the rack config, or refuses.' },
  'engine.check': { does: 'Refuses a machine that somebody else uses at the deploy engine.' },
  claim: {
    does: 'Holds the machine for the instance, or the user. Refused unless it is ready, clean, not withheld, nobody else holds it, and its pool has the door.',
  },
  'start-first/resolve': {
    does: 'Finds image, VLANs (of the instance’s NICs, or of the machine’s interfaces), ports and uplinks, and plans bond and VLAN interfaces. Whatever is missing is refused here; nothing was touched yet.',
  },
  'start-known/resolve': {
    does: 'Compares the command, the deployment on record and what the switches show.',
  },
  'power.off': { does: 'Hard off, then reads until the BMC says off.' },
  'stop/power.off': {
    does: 'Hard off if it is still on; in any case reads until the BMC says off.',
  },
  'start-known/power.off': { does: 'Hard off, confirmed: only if the untagged VLAN has to be repaired.' },
  'destroy/power.off': {
    does: 'Hard off, confirmed; tried three times. Where that fails the ports are shut instead (next step).',
  },
  'power.on': { does: 'On, then reads until the BMC says on.', undo: powerOn },
  'power.soft': { does: 'Asks the operating system to shut down (ACPI). Left out with `--force`.' },
  'power.await-off': { does: 'Waits up to `timings.softOff` for the system to shut down by itself.' },
  'ports.provisioning': {
    does: 'Every connected port to the provisioning network, read back. Only while off.',
    undo: backToProvisioning,
  },
  'ports.tenant': {
    does: 'The default NIC’s VLAN untagged and the others tagged on the ports in use, on all uplinks of the fabric; unused ports parked; read back. Only while off.',
    undo: backToProvisioning,
  },
  'start-known/ports.tenant': {
    does: 'The same ports verified and repaired. Where only tagged VLANs are missing the machine may be on.',
  },
  'power.cycle': {
    does: 'Power cycle, sent once; a machine that is off is switched on by the next step instead.',
  },
  'plug-nic/resolve': {
    does: 'Finds the NIC’s VLAN and the instance’s ports. The default NIC and reserved VLANs are refused.',
  },
  'unplug-nic/resolve': {
    does: 'Finds the NIC’s VLAN and the instance’s ports. The default NIC is refused.',
  },
  'plug-nic/ports.tenant': {
    does: 'The VLAN tagged on the ports in use and on the fabric’s uplinks, read back; the machine may be on.',
    undo: 'the ports as they were before, read back',
  },
  'unplug-nic/ports.tenant': {
    does: 'The VLAN off the ports in use, and off the uplinks where nobody else uses it, read back; the machine may be on.',
    undo: 'the ports as they were before, read back',
  },
  'plug-nic/finish': { does: 'The deployment has the NIC.' },
  'unplug-nic/finish': { does: 'The deployment has the NIC no more.' },
  'ports.fence': {
    does: 'Only when off could not be confirmed: every port shut and read back. If the ports cannot be read back shut, the Destroy fails and is to be repeated.',
  },
  'ports.clear': {
    does: 'Every port out of the tenant’s VLANs and parked, read back. From here on the tenant is gone from the network, and the caller may be answered.',
  },
  'boot-device.disk': { does: 'Boot device disk, read back where the BMC can show it.' },
  ...Object.fromEntries(
    ['commission', 'deploy', 'erase'].map((phase): [string, StepText] => [
      `${phase}.hand-over`,
      {
        does: 'Only where the engine drives the power itself: off, confirmed; then boot device and power are left to it until it is through.',
        undo: powerOn,
      },
    ]),
  ),
  'commission.order': { does: 'Places the inventory order with the boot service.', undo: order },
  'deploy.order': { does: 'Places the install order with the boot service.', undo: order },
  'erase.order': {
    does: 'Places the erase order: every writable disk of the inventory, and every other one that is there.',
    undo: order,
  },
  'commission.boot-device': { does: 'Boot device network, for the next boot.' },
  'deploy.boot-device': { does: 'Boot device network, for the next boot.' },
  'erase.boot-device': { does: 'Boot device network, for the next boot.' },
  'commission.power-on': {
    does: 'Makes the order available to the first asker, then on, confirmed.',
    undo: powerOn,
  },
  'deploy.power-on': {
    does: 'Makes the order available, then on. From here on the disks count as dirty.',
    undo: powerOn,
  },
  'erase.power-on': {
    does: 'Makes the order available, then on. Earlier clean-disk evidence is void.',
    undo: powerOn,
  },
  'commission.wait': { does: 'Waits for the inventory, and keeps it.' },
  'deploy.wait': { does: 'Waits until the image is written and its checksum was right.' },
  'erase.wait': { does: 'Waits for the erase report, judges it, and keeps it as clean-disk evidence.' },
  'commission.power-off': { does: 'Off, confirmed.' },
  'deploy.power-off': { does: 'Off, confirmed.' },
  'erase.power-off': { does: 'Off, confirmed.' },
  'commission/finish': { does: 'The machine is ready; a quarantine is lifted.' },
  'start-first/finish': { does: 'The machine is deployed, the deployment installed.' },
  'start-known/finish': { does: 'The machine is deployed, as before.' },
  'destroy/finish': {
    does: 'The machine is ready and the claim dropped; after a fence: claim dropped, machine withheld, erase pending.',
  },
  'erase/finish': { does: 'The machine is ready; a quarantine is lifted.' },
};
