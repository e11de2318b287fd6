import { z } from 'zod';
import { parseMac, type Mac } from '../../../plugin-api/index.ts';
import type { AgentProgress, AgentResult } from '../../operations/boot/agent-report.ts';

/** Text for people and records: without control characters, cut at what storage takes. */
const text = (longest: number) =>
  z.string().transform((value) =>
    value
      .replaceAll(/\p{Cc}+/gu, ' ')
      .trim()
      .slice(0, longest),
  );
const count = z.int().nonnegative();
const seconds = z.number().nonnegative();

export const progressMessage = z.object({
  activity: text(300),
  percent: z.number().min(0).max(100).nullable().default(null),
}) satisfies z.ZodType<AgentProgress>;

const nic = z.object({
  name: text(64),
  mac: z.string(),
  linkUp: z.boolean(),
  // Drivers without a link report -1.
  speedMbps: z
    .int()
    .nullable()
    .default(null)
    .transform((speed) => (speed === null || speed < 0 ? null : speed)),
  neighbour: text(255).nullable().default(null),
});

const disk = z.object({
  name: text(64),
  model: text(255),
  serial: text(128),
  bytes: count,
  rotational: z.boolean(),
  removable: z.boolean(),
  readOnly: z.boolean(),
});

const inventory = z.object({
  cpus: count,
  memoryBytes: count,
  architecture: text(32),
  firmware: z.enum(['legacy', 'efi']),
  product: text(255),
  serial: text(128),
  // What has no Ethernet address (InfiniBand, say) is no NIC that could be wired or booted from.
  nics: z
    .array(nic)
    .max(256)
    .transform((nics) =>
      nics.flatMap((candidate) => {
        const mac = ethernetMac(candidate.mac);
        return mac === null ? [] : [{ ...candidate, mac }];
      }),
    ),
  disks: z.array(disk).max(1024),
});

const deploy = z.object({
  disk: text(64),
  serial: text(128),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/i)
    .transform((sum) => sum.toLowerCase()),
  rawBytes: count,
  seconds,
});

const erase = z.object({
  disks: z
    .array(
      z.object({
        name: text(64),
        serial: text(128),
        bytes: count,
        grade: z.enum(['quick', 'full', 'secure']),
        method: text(100),
        secureCapable: z.boolean(),
        signaturesLeft: count,
        samples: count,
        dirtySamples: count,
        seconds,
      }),
    )
    .max(1024),
});

export const resultMessage = z.discriminatedUnion('ok', [
  z.object({
    ok: z.literal(true),
    inventory: inventory.optional(),
    deploy: deploy.optional(),
    erase: erase.optional(),
  }),
  z.object({
    ok: z.literal(false),
    error: z.object({
      code: z
        .enum(['checksum', 'no-disk', 'disk-missing', 'write', 'fetch', 'erase', 'agent'])
        // A newer agent may know more reasons; what it said is kept all the same.
        .catch('agent'),
      said: text(2000),
    }),
  }),
]) satisfies z.ZodType<AgentResult>;

function ethernetMac(spelling: string): Mac | null {
  try {
    return parseMac(spelling);
  } catch {
    return null;
  }
}
