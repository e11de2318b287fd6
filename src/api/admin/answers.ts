import { z } from 'zod';
import { claimDoors } from '../../core/machine/pool.ts';
import { subjectKinds } from '../../core/quarantine/quarantine.ts';
import { eventKinds, retained } from '../../core/storage/timeline.ts';
import { roles } from '../../core/access/principal.ts';

/**
 * The shapes of answers, for the published document; the tests hold every answer against them. Times are epoch milliseconds.
 */

const time = z.int();
const loose = z.looseObject({});

const named = <T extends z.ZodType>(id: string, schema: T): T => schema.meta({ id });

const error = named(
  'Error',
  z.object({
    code: z.string(),
    retry: z.enum(['never', 'later', 'operator']),
    what: z.string(),
    where: z.string().optional(),
    said: z.string().optional(),
    remedy: z.string().optional(),
  }),
);

export const errorAnswerShape = named(
  'ErrorAnswer',
  z.object({
    error: z.object({
      ...error.shape,
      message: z.string(),
      problems: z
        .array(
          z.object({
            line: z.int(),
            column: z.int(),
            path: z.string(),
            message: z.string(),
            remedy: z.string(),
          }),
        )
        .optional(),
    }),
  }),
);

const evidence = named(
  'Evidence',
  z.object({ summary: z.string(), verified: z.boolean(), data: loose.optional() }),
);

const requester = named(
  'Requester',
  z.object({ principal: z.string(), door: z.string(), reason: z.string() }),
);

export const operation = named(
  'Operation',
  z.object({
    id: z.string(),
    machineId: z.string(),
    kind: z.string(),
    state: z.enum(['running', 'undoing', 'done', 'failed', 'cancelled']),
    subject: z.string(),
    requester,
    createdAt: time,
    deadlineAt: time,
    endedAt: time.nullable(),
    cancelledBy: requester.nullable(),
    error: error.nullable(),
    undoError: error.nullable(),
  }),
);

export const step = named(
  'Step',
  z.object({
    seq: z.int(),
    name: z.string(),
    direction: z.enum(['do', 'undo']),
    attempt: z.int(),
    state: z.enum(['intent', 'done', 'failed', 'unknown', 'cancelled']),
    startedAt: time,
    endedAt: time.nullable(),
    progress: z.object({ activity: z.string(), percent: z.number().nullable() }).nullable(),
    evidence: evidence.nullable(),
    error: error.nullable(),
  }),
);

const quarantine = z.object({
  code: z.string(),
  reason: z.string(),
  fenced: z.boolean(),
  since: time,
});

export const machine = named(
  'Machine',
  z.object({
    id: z.string(),
    hostname: z.string(),
    state: z.string(),
    site: z.string(),
    pool: z.string(),
    engine: z.string(),
    wiring: z.enum(['managed', 'none']),
    firmware: z.enum(['legacy', 'efi']),
    architecture: z.string(),
    cpus: z.int(),
    memoryBytes: z.int(),
    serial: z.string(),
    product: z.string(),
    rootDiskSerial: z.string().nullable(),
    createdAt: time,
    version: z.int(),
    bmc: z
      .object({
        driver: z.string(),
        host: z.string(),
        port: z.int(),
        username: z.string(),
        minSuite: z.int(),
        knownSuite: z.int().nullable(),
      })
      .nullable(),
    nics: z.array(
      z.object({
        name: z.string(),
        mac: z.string(),
        linkUp: z.boolean(),
        speedMbps: z.number().nullable(),
        neighbour: z.string().nullable(),
      }),
    ),
    disks: z.array(
      z.object({
        name: z.string(),
        model: z.string(),
        serial: z.string(),
        bytes: z.int(),
        rotational: z.boolean(),
        removable: z.boolean(),
        readOnly: z.boolean(),
      }),
    ),
    cloudPlace: z
      .object({
        cloud: z.string(),
        zone: z.string(),
        pod: z.string(),
        cluster: z.string(),
        guid: z.string(),
        hostId: z.string().nullable(),
        hostTag: z.string().nullable(),
      })
      .nullable(),
    clean: z.object({ grade: z.string(), at: time, summary: z.string(), verified: z.boolean() }).nullable(),
    quarantine: quarantine.nullable(),
    power: z.object({ state: z.string(), at: time }).nullable(),
    claim: z
      .object({ holder: z.string(), externalId: z.string(), owner: z.string(), since: time })
      .nullable(),
    deployment: z
      .object({
        id: z.string(),
        image: z.string(),
        state: z.string(),
        native: z.union([z.int(), z.literal('provisioning')]).nullable(),
        tagged: z.array(z.int()),
        nicPlan: z.array(loose),
      })
      .nullable(),
    operation: z.object({ id: z.string(), kind: z.string(), state: z.string() }).nullable(),
    /** Why it gets no new claim: its own quarantine, or that of a device that it needs. */
    withheld: z
      .object({
        kind: z.enum(subjectKinds),
        name: z.string(),
        code: z.string(),
        reason: z.string(),
        since: time,
      })
      .nullable(),
  }),
);

const portState = z.object({
  native: z.union([z.int(), z.literal('default')]).nullable(),
  tagged: z.array(z.int()),
  admin: z.enum(['up', 'down']),
});

export const port = named(
  'Port',
  z.object({
    switch: z.string(),
    port: z.string(),
    machineId: z.string().nullable(),
    purpose: z.string(),
    desired: portState,
    observed: z
      .object({ ...portState.shape, prepared: z.boolean(), guarded: z.string().nullable() })
      .nullable(),
    settled: z.boolean(),
    observedAt: time.nullable(),
  }),
);

const vlanOr = (word: string) => z.union([z.int(), z.literal(word)]);

export const switchShape = named(
  'Switch',
  z.object({
    name: z.string(),
    type: z.string(),
    transport: z.string(),
    host: z.string(),
    tcpPort: z.int(),
    username: z.string(),
    fabric: z.string(),
    uplinks: z.array(z.string()),
    provisioning: vlanOr('default-vlan'),
    park: vlanOr('shut'),
    defaultVlan: z.int().nullable(),
    unsavedSince: time.nullable(),
    hostKeyPin: z.string().nullable(),
    legacyCrypto: z.boolean(),
  }),
);

export const wire = named(
  'Wire',
  z.object({ mac: z.string(), switch: z.string(), port: z.string(), server: z.string().nullable() }),
);

export const connectedPort = z.object({ mac: z.string(), switch: z.string(), port: z.string() });

export const image = named(
  'Image',
  z.object({
    name: z.string(),
    canBond: z.boolean(),
    firstBoot: z.enum(['nocloud', 'none']),
    rawBytes: z.int(),
    encoding: z.enum(['raw', 'gzip', 'zstd']),
    storedBytes: z.int(),
    sha256: z.string(),
    aliases: z.array(z.string()),
    file: z.string(),
    createdAt: time,
    version: z.int(),
  }),
);

export const addingImage = z.object({
  name: z.string(),
  doing: z.string(),
  percent: z.number().nullable(),
});

export const principal = named(
  'Principal',
  z.object({
    name: z.string(),
    role: z.enum(roles),
    scope: z.string(),
    createdAt: time,
    revokedAt: time.nullable(),
    expiresAt: time.nullable(),
    lastUsedAt: time.nullable(),
    email: z.string(),
    hasPassword: z.boolean(),
  }),
);

export const apiKey = named(
  'ApiKey',
  z.object({ token: z.string(), name: z.string(), principal: z.string(), createdAt: time }),
);

export const pool = named(
  'Pool',
  z.object({
    /** Null = nobody has described it. */
    id: z.int().nullable(),
    name: z.string(),
    description: z.string(),
    doors: z.array(z.enum(claimDoors)),
    trusted: z.boolean(),
    machines: z.int(),
  }),
);

export const alarm = named(
  'Alarm',
  z.object({
    id: z.string(),
    at: time,
    code: z.string(),
    machineId: z.string().nullable(),
    text: z.string(),
  }),
);

export const instance = named(
  'ServiceInstance',
  z.object({
    id: z.string(),
    name: z.string(),
    version: z.string(),
    adminUrl: z.string().nullable(),
    state: z.enum(['alive', 'draining', 'gone']),
    startedAt: time,
    endedAt: time.nullable(),
    reason: z.string().nullable(),
    /** Whether it is the one that answers. */
    self: z.boolean(),
    /** How many machines it holds; null where one process has all. */
    machines: z.int().nullable(),
  }),
);

export const quarantineRecord = named(
  'Quarantine',
  z.object({
    kind: z.enum(subjectKinds),
    name: z.string(),
    /** Of a machine and of a BMC the hostname of the machine; else the name. */
    label: z.string(),
    code: z.string(),
    reason: z.string(),
    since: time.nullable(),
    by: z.string(),
    count: z.int(),
    lastAt: time,
    liftedAt: time.nullable(),
    liftedBy: z.string().nullable(),
    liftedBecause: z.string().nullable(),
  }),
);

const timelineEntry = named(
  'TimelineEntry',
  z.object({
    id: z.string(),
    at: time,
    kind: z.enum([...eventKinds, 'operation', 'step', 'alarm']),
    operationId: z.string().nullable(),
    text: z.string(),
    /** Of operations and steps: begun, running, done, failed, cancelled, unknown, cancel-asked. */
    outcome: z.string().nullable(),
    before: z.string().nullable(),
    after: z.string().nullable(),
    evidence: z.object({ summary: z.string(), verified: z.boolean() }).nullable(),
    error: z
      .object({
        code: z.string(),
        what: z.string(),
        where: z.string().optional(),
        said: z.string().optional(),
      })
      .nullable(),
    /** Milliseconds. */
    took: z.int().nullable(),
    who: requester.nullable(),
  }),
);

export const timelinePage = z.object({
  machine: z.object({ id: z.string(), hostname: z.string() }),
  entries: z.array(timelineEntry),
  /** The cursor of the page of what is older; null = there is nothing older. */
  next: z.string().nullable(),
});

export const pruned = z.object({ dryRun: z.boolean(), rows: z.record(z.enum(retained), z.int()) });

export const provisioning = z.looseObject({ state: z.string() });

export const health = named(
  'Health',
  z.object({
    version: z.string(),
    now: time,
    activeOperations: z.int(),
    agentLinks: z.array(z.looseObject({ machineId: z.string(), state: z.string() })),
    agentCertificate: z.looseObject({ state: z.string(), warning: z.string().nullable() }).nullable(),
    provisioning,
    unsavedSwitches: z.array(z.object({ name: z.string(), since: time })),
    quarantined: z.array(z.object({ id: z.string(), hostname: z.string(), ...quarantine.shape })),
    /** Of ports, switches and BMCs; those of machines are in `quarantined`. */
    quarantinedDevices: z.array(quarantineRecord),
  }),
);

/** A command begins an operation, joins one, finds nothing to do, or, with `plan=1`, says what it would do. */
export const planAnswer = z.object({
  plan: z.array(z.object({ step: z.string(), lines: z.array(z.string()) })),
});
export const begunAnswer = z.object({ operation, joined: z.boolean() });
export const nothingAnswer = z.object({ operation: z.null(), already: z.string() });
