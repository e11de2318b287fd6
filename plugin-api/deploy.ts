import type { DeviceContext } from './device-context.ts';
import type { Evidence, JsonObject } from './evidence.ts';
import type { Mac } from './mac.ts';
import type { BmcTarget } from './power.ts';
import type { VlanId } from './vlan-id.ts';

/** What an engine does to a machine that boots its ramdisk. */
export type DeployPhase = 'commission' | 'deploy' | 'erase';

export type EraseGrade = 'none' | 'quick' | 'full' | 'secure';

export type FirstBootFormat = 'nocloud' | 'none';

/** An installable image as the engine knows it. */
export interface EngineImage {
  /** Unique name, for example `debian-12`. */
  readonly name: string;
  /** Template URLs or names that mean this image besides its own name; matched exactly. */
  readonly aliases: readonly string[];
  readonly canBond: boolean;
  readonly firstBoot: FirstBootFormat;
  /** Size on disk after unpacking, in bytes. */
  readonly rawBytes: number;
}

/** How a bond spreads what it sends over its members, as Linux and MAAS name it. */
export const bondModes = [
  'balance-rr',
  'active-backup',
  'balance-xor',
  'broadcast',
  '802.3ad',
  'balance-tlb',
  'balance-alb',
] as const;

export type BondMode = (typeof bondModes)[number];

/** What an interface has besides its MAC; absent = as the OS does it by itself. */
export interface NicSettings {
  /** Fixed addresses with the length of their prefix, besides DHCP or instead of it: `10.1.0.5/24`. */
  readonly addresses?: readonly string[];
  /** Where default routes of the fixed addresses lead; in a whole plan there is at most one for IPv4 and one for IPv6. */
  readonly gateways?: readonly string[];
  readonly nameservers?: readonly string[];
  /** Bytes. */
  readonly mtu?: number;
}

/** Tuning of a bond; absent = as the OS does it by itself. */
export interface BondSettings {
  /** Milliseconds between two looks at the members' links. */
  readonly miimon?: number;
  /** Milliseconds. */
  readonly upDelay?: number;
  readonly downDelay?: number;
  readonly gratuitousArp?: number;
  readonly lacpRate?: string;
  readonly hashPolicy?: string;
}

/** One interface as the installed OS shall have it. */
export type NicPlanEntry = NicSettings & { readonly mac: Mac; readonly dhcp: boolean } & (
    | ({
        readonly kind: 'bond';
        readonly name: string;
        readonly mode: BondMode;
        /** Hardware MACs of the members. */
        readonly members: readonly Mac[];
      } & BondSettings)
    | { readonly kind: 'nic'; readonly name: string; readonly hardware: Mac }
    | { readonly kind: 'vlan'; readonly name: string; readonly link: string; readonly vlan: VlanId }
  );

/** The NIC plan of a deployment: first the links (bonds and NICs), then VLAN interfaces on them. */
export type NicPlan = readonly NicPlanEntry[];

export interface FirstBootData {
  /** cloud-init instance id: a new one for each deployment, kept over stop and start. */
  readonly instanceId: string;
  readonly hostname: string;
  readonly sshKeys: readonly string[];
  /** Verbatim cloud-init user data, or null. */
  readonly userData: string | null;
}

export interface DiskFacts {
  readonly name: string;
  readonly model: string;
  readonly serial: string;
  readonly bytes: number;
  readonly rotational: boolean;
  readonly removable: boolean;
  readonly readOnly: boolean;
}

export interface NicFacts {
  readonly name: string;
  readonly mac: Mac;
  readonly linkUp: boolean;
  /** Megabit per second, or null when the NIC cannot tell. */
  readonly speedMbps: number | null;
  /** LLDP neighbour as `chassis port`, or null. */
  readonly neighbour: string | null;
}

/** What a machine told about itself. */
export interface Inventory {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly architecture: string;
  readonly firmware: 'legacy' | 'efi';
  readonly product: string;
  readonly serial: string;
  readonly nics: readonly NicFacts[];
  readonly disks: readonly DiskFacts[];
}

/** How to pick the root disk: by serial, else the smallest writable one of at least `minBytes`. */
export interface RootDiskHint {
  readonly serial?: string | undefined;
  readonly minBytes?: number | undefined;
}

interface OrderBase {
  /** The operation's id: `begin` with the same id again is the same order. */
  readonly id: string;
  readonly machineId: string;
  readonly hostname: string;
  /** Hardware MACs by which the machine may ask for its boot. */
  readonly macs: readonly Mac[];
}

export type PhaseOrder =
  | (OrderBase & {
      readonly phase: 'commission';
      /** For an engine that drives power itself and does not know the machine yet. */
      readonly bmc?: BmcTarget | undefined;
      /** As the enrolment said, in Linux's words: `x86_64`. */
      readonly architecture?: string | undefined;
      readonly firmware?: 'legacy' | 'efi' | undefined;
    })
  | (OrderBase & {
      readonly phase: 'deploy';
      readonly image: string;
      readonly nicPlan: NicPlan;
      readonly firstBoot: FirstBootData;
      readonly rootDisk: RootDiskHint;
      /** Disks of the inventory: the root disk is chosen among them. */
      readonly disks: readonly DiskFacts[];
      /** Marks for an engine that keeps such of its own: whose machine it is, say. */
      readonly tags?: readonly string[] | undefined;
    })
  | (OrderBase & {
      readonly phase: 'erase';
      readonly grade: Exclude<EraseGrade, 'none'>;
      /** Disks of the inventory, each of which must be erased; a missing one fails the erase. */
      readonly disks: readonly DiskFacts[];
    });

/** A machine for which a phase is about to be ordered. */
export interface MachineForPhase extends Pick<OrderBase, 'hostname' | 'macs'> {
  readonly phase: 'commission' | 'deploy';
  readonly bmc?: BmcTarget | undefined;
}

export interface PhaseProgress {
  readonly state: 'waiting' | 'running' | 'done' | 'failed';
  /** What is going on, for people: `writing debian-12 to vda`. */
  readonly activity: string;
  /** 0 to 100, or null when unknown. */
  readonly percent: number | null;
  /** Epoch milliseconds of the last sign of life from the machine or the engine; null before the first. */
  readonly lastSeen: number | null;
  /** In state `done`; in state `failed` what the machine left behind, such as the end of its log. */
  readonly evidence?: Evidence | undefined;
  /** In state `done` of a commission. */
  readonly inventory?: Inventory | undefined;
  /** In state `failed`. */
  readonly error?: { readonly code: string; readonly said: string } | undefined;
}

/** Who installs. Every method may be called again and again with the same order (law 1). */
export interface DeployEngine {
  readonly type: string;
  /** Who drives power during each phase (law 9): in an `engine` phase we only observe. */
  readonly powerBy: Readonly<Record<DeployPhase, 'ours' | 'engine'>>;
  images(): Promise<readonly EngineImage[]>;
  /** What stands against installing an image of this name now, in words: its file is gone, say. Null or absent = nothing known. */
  imageFault?(name: string): Promise<string | null>;
  /**
   * Asked before anything of a machine is touched. Absent = nobody but us can have it there.
   * @throws DeviceError where somebody else has it, or it is in no state for the phase
   */
  refuseTaken?(machine: MachineForPhase, signal?: AbortSignal): Promise<void>;
  /** The engine calls that `begin` would make, for a plan (law 8). */
  plan(order: PhaseOrder): Promise<readonly string[]>;
  /** Places the order; idempotent by `order.id`. */
  begin(order: PhaseOrder, signal?: AbortSignal): Promise<void>;
  /** Where the order stands; null when the engine does not know it. */
  progress(orderId: string, signal?: AbortSignal): Promise<PhaseProgress | null>;
  /** Takes the order back: the engine hands out nothing for it any more. Idempotent. */
  withdraw(orderId: string, signal?: AbortSignal): Promise<void>;
}

/** A work order as a machine that boots from the boot service gets it; the shape of `work` is the agent protocol's. */
export interface BootOrder {
  readonly id: string;
  readonly machineId: string;
  readonly macs: readonly Mac[];
  readonly phase: DeployPhase;
  readonly work: JsonObject;
  /** Name of the image that the machine may fetch with this order's token, or null. */
  readonly image: string | null;
  /** First-boot files by name (`meta-data`, `user-data`, `network-config`), for the same token. */
  readonly firstBootFiles: Readonly<Record<string, string>>;
}

/** The boot conversation as a native engine sees it; operations own the state behind it. */
export interface BootConversations {
  /** Places or replaces the order of this id; nothing is handed out before the operation arms it at its own power-on. */
  place(order: BootOrder): Promise<void>;
  progress(orderId: string): Promise<PhaseProgress | null>;
  withdraw(orderId: string): Promise<void>;
}

/** The images that a native engine may install. */
export interface ImageCatalogue {
  find(name: string): Promise<StoredImage | null>;
  list(): Promise<readonly StoredImage[]>;
  /** What is wrong with the stored file of an image, in words; null = nothing that shows without reading all of it. */
  fault?(name: string): Promise<string | null>;
}

export interface StoredImage extends EngineImage {
  /** Compression of the stored file. */
  readonly encoding: 'raw' | 'gzip' | 'zstd';
  /** Bytes of the stored file. */
  readonly storedBytes: number;
  /** SHA-256 of the stored file, hex. */
  readonly sha256: string;
}

/**
 * What an engine remembers of an order over restarts of the service; operations keep it. A machine's new order takes the place
 * of what was remembered of its last one. Never a secret.
 */
export interface OrderNotes {
  get(orderId: string): Promise<JsonObject | null>;
  put(orderId: string, machineId: string, note: JsonObject): Promise<void>;
  remove(orderId: string): Promise<void>;
}

export interface DeployHost extends DeviceContext {
  readonly conversations: BootConversations;
  readonly imageCatalogue: ImageCatalogue;
}

export type DeployEngineFactory = (host: DeployHost, settings: unknown) => DeployEngine;
