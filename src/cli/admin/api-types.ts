/** What the admin API answers, as far as csbm prints it for people; `--json` passes everything on. */

export interface ErrorView {
  readonly code: string;
  readonly retry: 'never' | 'later' | 'operator';
  readonly what: string;
  readonly where?: string;
  readonly said?: string;
  readonly remedy?: string;
}

export interface MachineView {
  readonly id: string;
  readonly hostname: string;
  readonly state: string;
  readonly site: string;
  readonly pool: string;
  readonly wiring: string;
  readonly engine: string;
  readonly firmware: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly serial: string;
  readonly product: string;
  readonly bmc: {
    readonly driver: string;
    readonly host: string;
    readonly port: number;
    readonly username: string;
    readonly knownSuite: number | null;
  } | null;
  readonly power: { readonly state: string; readonly at: number } | null;
  readonly quarantine: {
    readonly code: string;
    readonly reason: string;
    readonly fenced: boolean;
    readonly since: number;
  } | null;
  /** Why it gets no new claim: its own quarantine, or that of a device that it needs. */
  readonly withheld: {
    readonly kind: string;
    readonly name: string;
    readonly code: string;
    readonly reason: string;
  } | null;
  readonly clean: { readonly grade: string; readonly at: number; readonly summary: string } | null;
  readonly cloudPlace: {
    readonly cloud: string;
    readonly zone: string;
    readonly pod: string;
    readonly cluster: string;
    readonly hostTag: string | null;
  } | null;
  readonly nics: readonly {
    readonly name: string;
    readonly mac: string;
    readonly linkUp: boolean;
    readonly speedMbps: number | null;
  }[];
  readonly disks: readonly {
    readonly name: string;
    readonly model: string;
    readonly serial: string;
    readonly bytes: number;
  }[];
  readonly claim: {
    readonly holder: string;
    readonly externalId: string;
    readonly owner: string;
    readonly since: number;
  } | null;
  readonly deployment: {
    readonly image: string;
    readonly state: string;
    readonly native: number | 'provisioning' | null;
    readonly tagged: readonly number[];
  } | null;
  readonly operation: { readonly id: string; readonly kind: string; readonly state: string } | null;
}

export interface TimelineEntryView {
  readonly id: string;
  readonly at: number;
  readonly kind: string;
  readonly operationId: string | null;
  readonly text: string;
  readonly outcome: string | null;
  readonly before: string | null;
  readonly after: string | null;
  readonly evidence: { readonly summary: string; readonly verified: boolean } | null;
  readonly error: Pick<ErrorView, 'code' | 'what' | 'where' | 'said'> | null;
  readonly took: number | null;
  readonly who: { readonly principal: string; readonly door: string; readonly reason: string } | null;
}

export interface TimelinePageView {
  readonly machine: { readonly id: string; readonly hostname: string };
  readonly entries: readonly TimelineEntryView[];
  readonly next: string | null;
}

export interface PrunedView {
  readonly dryRun: boolean;
  readonly rows: Readonly<Record<string, number>>;
}

export interface OperationView {
  readonly id: string;
  readonly machineId: string;
  readonly kind: string;
  readonly state: 'running' | 'undoing' | 'done' | 'failed' | 'cancelled';
  readonly subject: string;
  readonly requester: { readonly principal: string; readonly door: string; readonly reason: string };
  readonly createdAt: number;
  readonly deadlineAt: number;
  readonly endedAt: number | null;
  readonly cancelledBy: { readonly principal: string; readonly reason: string } | null;
  readonly error: ErrorView | null;
  readonly undoError: ErrorView | null;
}

export interface StepView {
  readonly seq: number;
  readonly name: string;
  readonly direction: 'do' | 'undo';
  readonly attempt: number;
  readonly state: 'intent' | 'done' | 'failed' | 'unknown' | 'cancelled';
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly progress: { readonly activity: string; readonly percent: number | null } | null;
  readonly evidence: { readonly summary: string; readonly verified: boolean } | null;
  readonly error: ErrorView | null;
}

export interface PortStateView {
  readonly native: number | 'default' | null;
  readonly tagged: readonly number[];
  readonly admin: string;
}

export interface PortView {
  readonly switch: string;
  readonly port: string;
  readonly machineId: string | null;
  readonly purpose: string;
  readonly desired: PortStateView;
  readonly observed: PortStateView | null;
  readonly settled: boolean;
  readonly observedAt: number | null;
}

export interface SwitchView {
  readonly name: string;
  readonly type: string;
  readonly transport: string;
  readonly host: string;
  readonly tcpPort: number;
  readonly fabric: string;
  readonly uplinks: readonly string[];
  readonly provisioning: number | string;
  readonly park: number | string;
  readonly unsavedSince: number | null;
}

export interface WireView {
  readonly mac: string;
  readonly switch: string;
  readonly port: string;
  readonly server: string | null;
}

export interface ImageView {
  readonly name: string;
  readonly canBond: boolean;
  readonly firstBoot: string;
  readonly rawBytes: number;
  readonly storedBytes: number;
  readonly encoding: string;
  readonly sha256: string;
  readonly aliases: readonly string[];
  readonly createdAt: number;
}

/** An image that is being added. */
export interface AddingView {
  readonly name: string;
  readonly doing: string;
  readonly percent: number | null;
}

/** Addresses that machines have on the provisioning network, where csbm serves it. */
export interface LeasesView {
  readonly provisioning: {
    readonly state: string;
    readonly why?: string | null;
    readonly remedy?: string | null;
  };
  readonly leases: readonly {
    readonly mac: string;
    readonly address: string;
    readonly name: string | null;
    readonly expiresAt: number | null;
    readonly machine: { readonly id: string; readonly hostname: string } | null;
  }[];
}

export interface PrincipalView {
  readonly name: string;
  readonly role: string;
  readonly scope: string;
  readonly createdAt: number;
  readonly revokedAt: number | null;
  readonly expiresAt: number | null;
  readonly lastUsedAt: number | null;
  readonly email: string;
  readonly hasPassword: boolean;
}

export interface ApiKeyView {
  readonly token: string;
  readonly name: string;
  readonly principal: string;
  readonly createdAt: number;
}

export interface AlarmView {
  readonly at: number;
  readonly code: string;
  readonly machineId: string | null;
  readonly text: string;
}

/** Why one machine, port, switch or BMC is, or was, withheld. */
export interface QuarantineView {
  readonly kind: string;
  readonly name: string;
  readonly label: string;
  readonly code: string;
  readonly reason: string;
  /** Null = lifted. */
  readonly since: number | null;
  readonly by: string;
  readonly count: number;
  readonly lastAt: number;
  readonly liftedAt: number | null;
  readonly liftedBy: string | null;
  readonly liftedBecause: string | null;
}

export interface HealthView {
  readonly version: string;
  readonly now: number;
  readonly activeOperations: number;
  readonly agentLinks: readonly {
    readonly machineId: string;
    readonly state: string;
    readonly since: number;
    readonly server: string | null;
    readonly reason: string | null;
  }[];
  /** Our certificate towards the management servers; null = there are no links. */
  readonly agentCertificate: { readonly state: string; readonly warning: string | null } | null;
  readonly unsavedSwitches: readonly { readonly name: string; readonly since: number }[];
  readonly quarantined: readonly {
    readonly id: string;
    readonly hostname: string;
    readonly code: string;
    readonly reason: string;
    readonly fenced: boolean;
  }[];
  /** Of ports, switches and BMCs. */
  readonly quarantinedDevices: readonly QuarantineView[];
}

export interface FindingView {
  readonly code: string;
  readonly where: string;
  readonly what: string;
  readonly since: number | null;
  readonly said: string | null;
  readonly remedy: string;
  /** Who withheld a port, a switch or a BMC; null = no person did. */
  readonly by: string | null;
  readonly machineId: string | null;
  readonly switch: string | null;
}

export interface SurveyView {
  readonly at: number;
  readonly took: number;
  readonly bmcs: number;
  readonly switches: number;
  readonly findings: readonly FindingView[];
  /** Other instances of the service, whose links, certificates and disks were not looked at. */
  readonly others: readonly string[];
}

export interface RestoreView {
  /** Null = the service is at work as usual. */
  readonly pending: {
    readonly at: number;
    readonly why: string;
    readonly backupAt: number | null;
    readonly comparedAt: number | null;
  } | null;
  readonly machines: readonly {
    readonly id: string;
    readonly hostname: string;
    readonly state: string;
    readonly holder: string | null;
    readonly differences: readonly { readonly kind: string; readonly what: string }[];
  }[];
  /** Of machines that the database does not know. */
  readonly unknown: readonly { readonly kind: string; readonly what: string }[];
  /** Null before the devices were read. */
  readonly same: number | null;
}

export interface PlanSection {
  readonly step: string;
  readonly lines: readonly string[];
}

export interface PoolView {
  /** Null = nobody has described it. */
  readonly id: number | null;
  readonly name: string;
  readonly description: string;
  readonly doors: readonly string[];
  readonly trusted: boolean;
  readonly machines: number;
}
