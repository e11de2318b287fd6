import type { BodyEntry } from '../body.ts';
import { gsonText } from '../gson-writer.ts';
import { agentStyle, commandBase } from './command-base.ts';

export const startupRoutingCommandClass = 'com.cloud.agent.api.StartupRoutingCommand';

/** What the management server must know of a machine to take it as a host. */
export interface HostFacts {
  /** Unique key of the host row, for example `<uuid>-BareMetalProvider`. */
  readonly guid: string;
  readonly name: string;
  /** Zone name, or its database id as text. */
  readonly zone: string;
  /** Pod name, or its database id as text. */
  readonly pod: string;
  /** Database id of the cluster as text; the cluster must be of the hypervisor type. */
  readonly cluster: string;
  readonly hypervisorType: string;
  /** `x86_64` or `aarch64`; must be the cluster's. */
  readonly arch: string;
  readonly cpus: number;
  readonly cpuSockets?: number | undefined;
  readonly speedMhz: number;
  readonly memoryBytes: number;
  /** Must not clash with another address of the pod. */
  readonly privateIp: string;
  readonly privateNetmask?: string | undefined;
  readonly gateway?: string | undefined;
  readonly privateMac: string;
  readonly hostTags?: readonly string[] | undefined;
  /** Stored with the host; `hostTag` is what the stock BareMetalPlanner compares with an offering's tag. */
  readonly hostDetails?: Readonly<Record<string, string>> | undefined;
  /** Suffix of the guid that the server strips when it looks the host up. */
  readonly resourceName?: string | undefined;
  /** Our version, as the server shows it. */
  readonly version?: string | undefined;
}

/**
 * The first frame of a link. `id` is the host id of an earlier connection, or null; `transferred` says that a server sent us here
 * (4.21+). Unknown fields are ignored, so one superset serves all releases.
 */
export function startupRoutingCommand(facts: HostFacts, id: bigint | null, transferred = false): BodyEntry {
  const text = gsonText(
    {
      cpuSockets: facts.cpuSockets,
      cpus: facts.cpus,
      speed: facts.speedMhz,
      memory: facts.memoryBytes,
      dom0MinMemory: 0,
      poolSync: false,
      supportsClonedVolumes: false,
      caps: 'hvm',
      hypervisorType: facts.hypervisorType,
      hostDetails: facts.hostDetails ?? {},
      hostTags: facts.hostTags ?? [],
      hypervisorVersion: '1.0',
      groupDetails: {},
      gpuDevices: [],
      type: 'Routing',
      dataCenter: facts.zone,
      pod: facts.pod,
      cluster: facts.cluster,
      guid: facts.guid,
      name: facts.name,
      id,
      version: facts.version,
      publicMacAddress: facts.privateMac,
      privateIpAddress: facts.privateIp,
      privateMacAddress: facts.privateMac,
      privateNetmask: facts.privateNetmask,
      storageIpAddress: facts.privateIp,
      storageNetmask: facts.privateNetmask,
      storageMacAddress: facts.privateMac,
      resourceName: facts.resourceName,
      gatewayIpAddress: facts.gateway,
      connectionTransferred: transferred,
      // The stock agent fills `arch`; `cpuArch` is what ResourceManagerImpl.fillRoutingHostVO reads.
      arch: facts.arch,
      cpuArch: facts.arch,
      ...commandBase(),
    },
    agentStyle,
  );
  return { className: startupRoutingCommandClass, text };
}
