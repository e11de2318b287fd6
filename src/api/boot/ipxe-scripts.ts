import type { BootDecision } from '../../operations/boot/boot-conversations.ts';

/** Kernel arguments besides ours: console and the like. Never a secret. */
export interface RamdiskSettings {
  readonly kernelArguments: string;
}

/**
 * The first script, the same for every machine: asks for the machine's own decision until it gets one. A machine that gave up
 * would boot from its disk instead, which may hold the system of a tenant who has left.
 */
export function firstScript(base: string): string {
  const asker = [
    'mac=${netX/mac:hexhyp}',
    'platform=${platform}',
    'arch=${buildarch}',
    'uuid=${uuid}',
    'serial=${serial:uristring}',
  ].join('&');
  return lines(
    'echo csbm: asking what to boot',
    ':ask',
    `chain --replace ${base}/boot/v1/script?${asker} ||`,
    'echo csbm: no answer, asking again',
    'sleep 3',
    'goto ask',
  );
}

/** The decision as an iPXE script. Only the one of kind `agent` carries a token. */
export function decisionScript(decision: BootDecision, base: string, ramdisk: RamdiskSettings): string {
  switch (decision.kind) {
    case 'agent':
      return agentScript(decision.asker.mac, decision.token, base, ramdisk);
    case 'local-disk':
      return lines(
        'echo csbm: booting from the local disk',
        // UEFI returns to the firmware's boot order; some BIOSes hang at exit, so there the drive is booted from here.
        decision.platform === 'efi' ? 'exit' : 'sanboot --no-describe --drive 0x80',
      );
    case 'power-off':
      return lines(`echo csbm: ${decision.reason}`, ...powerOff);
  }
}

/** When the service cannot decide right now: ask again, from the start. */
export function laterScript(base: string): string {
  return lines(
    'echo csbm: the boot service cannot answer now, asking again',
    'sleep 5',
    ':ask',
    `chain --replace ${base}/boot.ipxe ||`,
    'sleep 5',
    'goto ask',
  );
}

/**
 * A failed transfer is tried again from here: asking for another decision would make this machine a second asker. `initrd=`
 * and `--name` belong together under UEFI.
 */
function agentScript(mac: string, token: string, base: string, ramdisk: RamdiskSettings): string {
  const files = `${base}/boot/v1/ramdisk`;
  const args = [`csbm.url=${base}`, `csbm.token=${token}`, `csbm.mac=${mac}`, ramdisk.kernelArguments];
  return lines(
    'echo csbm: loading the ramdisk',
    ':load',
    'imgfree',
    `kernel ${files}/vmlinuz initrd=initrd ${args.join(' ').trim()} || goto again`,
    `initrd --name initrd ${files}/initrd || goto again`,
    'boot || goto again',
    ':again',
    'echo csbm: the ramdisk did not load, trying again',
    'sleep 3',
    'goto load',
  );
}

/** Not every iPXE build has `poweroff`; one without it must not fall through to the disk. */
const powerOff = ['poweroff ||', ':halt', 'sleep 60', 'goto halt'];

function lines(...commands: readonly string[]): string {
  return ['#!ipxe', ...commands, ''].join('\n');
}
