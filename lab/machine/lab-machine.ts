import { milliseconds, type Clock, type Duration, type Mac } from '../../plugin-api/index.ts';
import { EventBus } from '../../src/kernel/events/event-bus.ts';
import type { BmcHost, HostAction, HostBoot } from '../bmc/bmc-host.ts';
import type { Fabric, Place } from '../network/index.ts';
import { Behaviours, type HangPoint } from './behaviour.ts';
import type { Grade } from './erase-disk.ts';
import { readFirstBoot, successionOf, writeFirstBoot } from './first-boot.ts';
import { httpCall, type HttpPath } from './http-call.ts';
import { runIpxe, type IpxeOutcome } from './ipxe.ts';
import { LabDisk, type LabDiskOptions } from './lab-disk.ts';
import { readBootableImage, readImageHeader, type LabImageHeader } from './lab-image.ts';
import { LabNic } from './lab-nic.ts';
import { LabOs } from './lab-os.ts';
import { parseNetworkConfig } from './network-config.ts';
import { RamdiskAgent } from './ramdisk-agent.ts';
import { readTenantMark } from './tenant-mark.ts';
import { faster, lifelike, type MachineTiming } from './timing.ts';

export type MachinePhase =
  | 'off'
  | 'firmware'
  | 'pxe'
  | 'ramdisk'
  /** The installer's own first boot of a system, before anybody's data is in it. */
  | 'first-boot'
  | 'os'
  | 'no-bootable-device'
  /** Powered on, but nothing runs: a kernel that found no ramdisk, or a behaviour. */
  | 'hung';

export interface LabMachineOptions {
  readonly name: string;
  readonly uuid: string;
  readonly serial: string;
  readonly firmware: 'legacy' | 'efi';
  readonly nics: readonly { readonly name: string; readonly mac: Mac; readonly place: Place }[];
  readonly disks: readonly LabDiskOptions[];
  /** The firmware's own boot order; default PXE, then disk. */
  readonly bootOrder?: readonly ('pxe' | 'disk')[];
  /** When the boot flags say PXE and PXE fails: go on with the firmware's order, or stop. Firmware differs. Default `next`. */
  readonly pxeFailure?: 'next' | 'stop';
  readonly cpus?: number;
  readonly memoryBytes?: number;
  readonly product?: string;
  readonly timing?: MachineTiming;
  /** Where the disks' files are. */
  readonly directory: string;
}

export interface MachineEvents {
  readonly phase: { readonly machine: LabMachine; readonly phase: MachinePhase };
  /** The ramdisk is about to overwrite a disk with an image. */
  readonly installing: { readonly machine: LabMachine; readonly disk: LabDisk };
  /** The ramdisk has erased a disk to the end, in the grade of its order. */
  readonly erased: { readonly machine: LabMachine; readonly disk: LabDisk; readonly grade: Grade };
}

/** What lies on a disk, as far as the lab's formats go. */
export interface DiskContent {
  /** Image whose header is there, whole or torn; null = none. */
  readonly image: string | null;
  readonly bootable: boolean;
  readonly instanceId: string | null;
  /** MACs that the first-boot data gives to interfaces. */
  readonly macs: readonly Mac[];
  /** Instance id that a tenant left in the middle of the disk. */
  readonly residue: string | null;
}

const mostConsole = 500;

/**
 * A simulated server. Its power follows only what its BMC is told; it boots what the boot flags say, reaches the boot
 * service only through the fabric, and what it runs from disk knows only what is on that disk.
 */
export class LabMachine implements BmcHost {
  readonly name: string;
  readonly nics: readonly LabNic[];
  readonly disks: readonly LabDisk[];
  readonly behaviours = new Behaviours();
  readonly events = new EventBus<MachineEvents>();
  /** What somebody at the console would have read, newest last. */
  readonly console: string[] = [];
  readonly #options: LabMachineOptions;
  readonly #fabric: Fabric;
  readonly #clock: Clock;
  #powered = false;
  #phase: MachinePhase = 'off';
  #os: LabOs | null = null;
  #life: { readonly abort: AbortController; readonly done: Promise<void> } | null = null;
  /** Power commands are obeyed one after the other. */
  #control: Promise<void> = Promise.resolve();
  readonly #detach: (() => void)[];
  readonly #torn = new AbortController();
  #shuttingDown = false;

  constructor(options: LabMachineOptions, fabric: Fabric, clock: Clock) {
    this.name = options.name;
    this.#options = options;
    this.#fabric = fabric;
    this.#clock = clock;
    this.nics = options.nics.map(
      (nic) => new LabNic(nic, options.name, fabric, () => this.#powered && !this.#isDead(nic.name)),
    );
    this.disks = options.disks.map((disk) => new LabDisk(disk, options.directory));
    this.#detach = this.nics.map((nic) => fabric.attach(nic));
  }

  /** What the BMC reads. */
  power(): 'on' | 'off' {
    return this.#powered ? 'on' : 'off';
  }

  get phase(): MachinePhase {
    return this.#phase;
  }

  /** The running operating system; null unless one runs. */
  get os(): LabOs | null {
    return this.#os;
  }

  get firmware(): 'legacy' | 'efi' {
    return this.#options.firmware;
  }

  /** What the BMC was told to do. Returns at once; the power follows after {@link MachineTiming.power}. */
  control(action: HostAction, flags: HostBoot): void {
    this.#control = this.#control
      .then(() => this.#obey(action, flags))
      .catch((error: unknown) => {
        if (!this.#torn.signal.aborted) throw error;
      });
  }

  /** The same as pulling the power cord. */
  losePower(): void {
    this.#log('power lost');
    this.#cutPower();
  }

  /** MACs that the first-boot data on the disks gives to interfaces: whose system this is. */
  get allottedMacs(): readonly Mac[] {
    return this.disks.flatMap((disk) => macsOf(readFirstBoot(disk)?.files['network-config']));
  }

  diskContent(disk: LabDisk): DiskContent {
    const header = readImageHeader(disk);
    const seed = readFirstBoot(disk);
    return {
      image: header?.name ?? null,
      bootable: header !== null && readBootableImage(disk) !== null,
      instanceId: seed
        ? (/instance-id"?:\s*"?([^\s",}]+)/.exec(seed.files['meta-data'] ?? '')?.[1] ?? null)
        : null,
      macs: seed ? macsOf(seed.files['network-config']) : [],
      residue: readTenantMark(disk),
    };
  }

  /** Stops everything, as if the lab had never been; the disks' files stay. */
  async close(): Promise<void> {
    this.#torn.abort(new Error('the lab was torn down'));
    this.#cutPower();
    for (const detach of this.#detach) detach();
    await this.#control;
    await this.#life?.done;
  }

  // ---- power ----

  async #obey(action: HostAction, flags: HostBoot): Promise<void> {
    const { timing } = this;
    this.#log(`BMC: ${action}, boot flags ${flags.device}`);
    if (action === 'soft') {
      this.#softOff();
      return;
    }
    const stuck = this.behaviours.find('power-stuck', (b) => b.at === this.power());
    if (stuck && action !== 'reset') {
      this.#log(`power stuck ${stuck.at}`);
      return;
    }
    if (action === 'on') {
      if (this.#powered) return;
      await this.#pause(timing.power);
      this.#start(flags);
      return;
    }
    if (!this.#powered) return;
    if (action !== 'reset') await this.#pause(timing.power);
    this.#cutPower(action === 'reset');
    await this.#life?.done;
    if (action === 'off') return;
    if (action === 'cycle') await this.#pause(timing.cyclePause);
    this.#start(flags);
  }

  #softOff(): void {
    if (this.#phase !== 'os' || this.behaviours.find('ignores-soft-off'))
      return this.#log('ACPI power button: nobody heeds it');
    if (this.#shuttingDown) return;
    this.#shuttingDown = true;
    const { abort } = this.#life!;
    // Beside the queue of power commands: a hard off must not wait for an operating system.
    this.#clock
      .sleep(this.#scaled(this.timing.osShutdown), AbortSignal.any([abort.signal, this.#torn.signal]))
      .then(
        () => this.#cutPower(),
        () => undefined,
      );
  }

  #start(flags: HostBoot): void {
    if (this.#torn.signal.aborted) return;
    this.#powered = true;
    const abort = new AbortController();
    this.#enter('firmware');
    const done = this.#live(flags, abort.signal).catch((error: unknown) => {
      if (!abort.signal.aborted) throw error;
    });
    this.#life = { abort, done };
  }

  /** @param keepPower for a reset: everything stops, the power stays. */
  #cutPower(keepPower = false): void {
    if (!this.#powered) return;
    this.#powered = keepPower;
    this.#shuttingDown = false;
    const { abort } = this.#life!;
    this.#os = null;
    abort.abort(new Error('power is off'));
    if (!keepPower) this.#enter('off');
  }

  // ---- what runs while there is power ----

  async #live(first: HostBoot, signal: AbortSignal): Promise<void> {
    // A reboot from inside does not ask the BMC again.
    for (let flags = first; ; flags = { ...first, device: 'none' }) {
      this.#enter('firmware');
      await this.#sleep(this.timing.firmware, signal);
      await this.#hangAt('firmware', signal);
      if ((await this.#bootDevices(this.#devices(flags), signal)) !== 'reboot') return;
    }
  }

  #devices(flags: HostBoot): readonly ('pxe' | 'disk')[] {
    const order = this.#options.bootOrder ?? ['pxe', 'disk'];
    if (flags.device !== 'pxe' && flags.device !== 'disk') return order;
    const device = this.behaviours.strike('wrong-device')
      ? flags.device === 'pxe'
        ? 'disk'
        : 'pxe'
      : flags.device;
    if (device === 'disk' || this.#options.pxeFailure === 'stop') return [device];
    return [device, ...order.filter((other) => other !== device)];
  }

  async #bootDevices(devices: readonly ('pxe' | 'disk')[], signal: AbortSignal): Promise<'reboot' | 'ended'> {
    for (const device of devices) {
      if (device === 'disk') {
        if (await this.#bootDisk(signal)) return 'ended';
        continue;
      }
      const outcome = await this.#pxe(signal);
      if (outcome === 'next') continue;
      return outcome;
    }
    this.#log('no bootable device');
    this.#enter('no-bootable-device');
    return 'ended';
  }

  async #pxe(signal: AbortSignal): Promise<'next' | 'reboot' | 'ended'> {
    this.#enter('pxe');
    const { timing } = this;
    for (const [index, nic] of this.nics.entries()) {
      for (let tries = 0; tries < timing.dhcpTries && nic.carrier(); tries++) {
        const lease = await nic.dhcp(
          this.#clock,
          nic.mac,
          'ipxe',
          null,
          this.#scaled(timing.dhcpRetry),
          signal,
        );
        if (!lease?.bootUrl) continue;
        this.#log(`${nic.label}: ${lease.address}, ${lease.bootUrl}`);
        const outcome = await this.#ipxe(nic, index, lease.bootUrl, signal);
        if (outcome.kind === 'failed') {
          this.#log(`iPXE: ${outcome.said}`);
          break;
        }
        return this.#afterIpxe(outcome, nic, signal);
      }
    }
    this.#log('PXE: nothing to boot');
    return 'next';
  }

  async #ipxe(nic: LabNic, index: number, bootUrl: string, signal: AbortSignal): Promise<IpxeOutcome> {
    await this.#hangAt('ipxe', signal);
    const path = this.#path(nic);
    const impostor = async (when: 'before' | 'after', url: string): Promise<void> => {
      if (!url.includes('/boot/v1/script') || !this.behaviours.strike('second-asker', (b) => b.when === when))
        return;
      this.#log(`somebody else asks for ${url}`);
      await httpCall(path, { method: 'GET', url }, signal).catch(() => signal.throwIfAborted());
    };
    return runIpxe(`#!ipxe\nchain --replace ${bootUrl}\n`, {
      setting: (setting) => this.#setting(setting, nic, index),
      fetch: async (url) => {
        await impostor('before', url);
        const answer = await httpCall(path, { method: 'GET', url }, signal);
        if (answer.status !== 200) throw new Error(`HTTP ${answer.status} for ${url}`);
        await impostor('after', url);
        return answer.body;
      },
      diskBoots: () => this.#bootable() !== null,
      sleep: (time) => this.#sleep(milliseconds(time / this.#haste), signal),
    });
  }

  async #afterIpxe(
    outcome: IpxeOutcome,
    nic: LabNic,
    signal: AbortSignal,
  ): Promise<'next' | 'reboot' | 'ended'> {
    if (outcome.kind === 'boot') {
      const args = new Map<string, string>();
      for (const arg of outcome.kernel.args) {
        const equals = arg.indexOf('=');
        if (equals > 0) args.set(arg.slice(0, equals), arg.slice(equals + 1));
      }
      await this.#ramdisk(args, outcome.initrds.length > 0, nic, signal);
      return 'ended';
    }
    if (outcome.kind === 'power-off') {
      this.#cutPower();
      return 'ended';
    }
    if (outcome.kind === 'reboot') return 'reboot';
    if (outcome.kind === 'exit') return 'next';
    return (await this.#bootDisk(signal)) ? 'ended' : 'next';
  }

  async #ramdisk(
    args: ReadonlyMap<string, string>,
    hasInitrd: boolean,
    bootNic: LabNic,
    signal: AbortSignal,
  ): Promise<void> {
    this.#enter('ramdisk');
    await this.#sleep(this.timing.kernel, signal);
    const url = args.get('csbm.url');
    const token = args.get('csbm.token');
    const mac = args.get('csbm.mac')?.toLowerCase().replaceAll('-', ':');
    const nic = this.nics.find((one) => one.mac === mac) ?? bootNic;
    if (!hasInitrd || url === undefined || token === undefined) {
      this.#log('kernel panic: no init found');
      this.#enter('hung');
      return;
    }
    // The ramdisk has a DHCP client of its own, and no patience shorter than the agent's.
    const until = this.#clock.monotonic() + this.timing.retryFor;
    while (
      !(await nic.dhcp(this.#clock, nic.mac, 'agent', null, this.#scaled(this.timing.dhcpRetry), signal))
    )
      if (this.#clock.monotonic() >= until) {
        this.#cutPower();
        return;
      }
    const agent = new RamdiskAgent(
      {
        machine: {
          cpus: this.#options.cpus ?? 8,
          memoryBytes: this.#options.memoryBytes ?? 32 * 1024 ** 3,
          product: this.#options.product ?? 'Lab Server',
          serial: this.#options.serial,
          firmware: this.firmware,
        },
        nics: this.nics,
        disks: () =>
          this.disks.filter((disk) => !this.behaviours.find('disk-missing', (b) => b.disk === disk.name)),
        clock: this.#clock,
        timing: this.timing,
        behaviours: this.behaviours,
        log: (text) => this.#log(text),
        hang: () => this.#hang(signal),
        losePower: () => {
          this.losePower();
          return Promise.reject(signal.reason as Error);
        },
        installing: (disk) => this.events.emit('installing', { machine: this, disk }),
        erased: (disk, grade) => this.events.emit('erased', { machine: this, disk, grade }),
        pause: (time) => this.#sleep(milliseconds(time), signal),
      },
      this.#path(nic),
      url,
      token,
      signal,
    );
    await agent.run(signal);
    this.#cutPower();
  }

  async #bootDisk(signal: AbortSignal): Promise<boolean> {
    const found = this.#bootable();
    if (!found) return false;
    this.#log(`booting ${found.image.name} from ${found.disk.name}`);
    await this.#sleep(this.timing.osStart, signal);
    await this.#hangAt('os', signal);
    if (await this.#firstBoot(found.disk, signal)) return true;
    const os = new LabOs({
      machine: this.name,
      image: found.image,
      disk: found.disk,
      nics: this.nics,
      fabric: this.#fabric,
      clock: this.#clock,
      timing: this.timing,
      log: (text) => this.#log(text),
    });
    this.#os = os;
    this.#enter('os');
    os.start();
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    await os.stop();
    return true;
  }

  /** A system whose first boot only prepares its second, and switches itself off. */
  async #firstBoot(disk: LabDisk, signal: AbortSignal): Promise<boolean> {
    const seed = readFirstBoot(disk);
    const succession = seed && successionOf(seed);
    if (!succession?.powerOff) return false;
    this.#enter('first-boot');
    await this.#sleep(this.timing.osStart, signal);
    writeFirstBoot(disk, succession.container);
    this.#log('first boot: another data source from now on; power off');
    this.#cutPower();
    return true;
  }

  #bootable(): { readonly disk: LabDisk; readonly image: LabImageHeader } | null {
    for (const disk of this.disks) {
      const image = readBootableImage(disk);
      if (image) return { disk, image };
    }
    return null;
  }

  // ---- small things ----

  get timing(): MachineTiming {
    return this.#options.timing ?? faster(lifelike, 20);
  }

  /** iPXE's own sleeps are written in life's seconds; the firmware delay tells how fast this machine lives. */
  get #haste(): number {
    return Math.max(1, lifelike.firmware / Math.max(1, this.timing.firmware));
  }

  #setting(setting: string, nic: LabNic, index: number): string | undefined {
    if (setting === 'netX/mac' || setting === `net${index}/mac` || setting === 'mac') return nic.mac;
    const other = /^net(\d+)\/mac$/.exec(setting);
    if (other) return this.nics[Number(other[1])]?.mac;
    const known: Readonly<Record<string, string>> = {
      platform: this.firmware === 'efi' ? 'efi' : 'pcbios',
      buildarch: this.firmware === 'efi' ? 'x86_64' : 'i386',
      uuid: this.#options.uuid,
      serial: this.#options.serial,
      product: this.#options.product ?? 'Lab Server',
    };
    return known[setting];
  }

  #path(nic: LabNic): HttpPath {
    return { fabric: this.#fabric, nic, silence: this.timing.httpSilence };
  }

  #isDead(nic: string): boolean {
    return this.behaviours.find('dead-nic', (b) => b.nic === undefined || b.nic === nic) !== null;
  }

  async #hangAt(point: HangPoint, signal: AbortSignal): Promise<void> {
    if (this.behaviours.strike('hangs', (b) => b.at === point)) await this.#hang(signal);
  }

  #hang(signal: AbortSignal): Promise<never> {
    this.#log('hangs');
    this.#enter('hung');
    return new Promise((_resolve, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
    );
  }

  #scaled(time: Duration): Duration {
    return milliseconds(time * (this.behaviours.find('slow')?.factor ?? 1));
  }

  #sleep(time: Duration, signal: AbortSignal): Promise<void> {
    return this.#clock.sleep(this.#scaled(time), signal);
  }

  /** A wait of the power circuit itself: ends early only when the lab is torn down. */
  #pause(time: Duration): Promise<void> {
    return this.#clock.sleep(this.#scaled(time), this.#torn.signal);
  }

  #enter(phase: MachinePhase): void {
    if (this.#phase === phase) return;
    this.#phase = phase;
    this.events.emit('phase', { machine: this, phase });
  }

  #log(text: string): void {
    this.console.push(text);
    if (this.console.length > mostConsole) this.console.shift();
  }
}

function macsOf(networkConfig: string | undefined): readonly Mac[] {
  if (networkConfig === undefined) return [];
  try {
    const { links, vlans } = parseNetworkConfig(networkConfig);
    return [...links, ...vlans].flatMap((one) => (one.mac ? [one.mac] : []));
  } catch {
    return [];
  }
}
