import { z } from 'zod';
import { Secret } from '../../../plugin-api/index.ts';
import { roles } from '../../core/access/principal.ts';
import { claimDoors } from '../../core/machine/pool.ts';

const secret = z
  .string()
  .meta({ format: 'password', writeOnly: true })
  .transform((text) => new Secret(text));
const name = z.string().trim().min(1).max(253);

/** `POST machines`: one machine as an administrator describes it. */
export const enrolMessage = z.strictObject({
  hostname: z
    .string()
    .trim()
    .regex(/^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/, 'a host name: letters, digits and - only'),
  macs: z.array(z.string()).min(1).max(64),
  bmc: z.strictObject({
    driver: z.enum(['ipmi']).optional(),
    host: name,
    port: z.int().min(1).max(65_535).optional(),
    username: z.string().max(16),
    password: secret,
    kg: secret.optional(),
    minSuite: z.union([z.literal(3), z.literal(17)]).optional(),
    privilege: z.enum(['operator', 'administrator']).optional(),
  }),
  firmware: z.enum(['legacy', 'efi']).optional(),
  wiring: z.enum(['managed', 'none']).optional(),
  engine: z
    .string()
    .regex(/^[a-z][A-Za-z0-9:._-]{0,31}$/, 'the name of a deploy engine: native, maas, maas:<name>')
    .optional(),
  pool: name.optional(),
  site: name.optional(),
  rootDiskSerial: name.optional(),
  cloudPlace: z
    .strictObject({
      cloud: name,
      zone: name,
      pod: name,
      cluster: name,
      hostTag: name.nullable().optional(),
    })
    .optional(),
});

const reason = z.string().max(1_000).default('');
const grade = z.enum(['none', 'quick', 'full', 'secure']);

export const commissionMessage = z.strictObject({ grade: grade.optional(), reason });
export const eraseMessage = z.strictObject({ grade: z.enum(['quick', 'full', 'secure']).optional(), reason });
export const reasonMessage = z.strictObject({ reason });
export const stopMessage = z.strictObject({ force: z.boolean().default(false), reason });
export const nicMessage = z.strictObject({
  mac: z.string(),
  broadcastUri: z.string(),
  defaultNic: z.boolean().default(false),
  reason,
});
export const releaseMessage = z.strictObject({ grade: grade.optional(), reason });
export const startMessage = z.strictObject({
  externalId: z.string().regex(/^[\x21-\x7e]{1,190}$/),
  template: name,
  firstDeployment: z.boolean().default(true),
  hostname: name.optional(),
  nics: z
    .array(
      z.strictObject({
        mac: z.string(),
        broadcastUri: z.string(),
        defaultNic: z.boolean(),
        deviceId: z.int().min(0),
      }),
    )
    .max(64),
  sshKeys: z.array(z.string()).default([]),
  userData: z.string().nullable().default(null),
  reason,
});
/** Seconds until a token ends; left out = it does not end by itself. Ten years at most: longer is a mistake. */
const expiresIn = z
  .int()
  .min(1)
  .max(10 * 366 * 86_400)
  .optional();
export const principalMessage = z.strictObject({
  name,
  role: z.enum(roles),
  /** The column's width. */
  scope: z.string().max(128).default('*'),
  email: z.string().max(255).default(''),
  /** For a login of MAAS's clients. */
  password: secret.optional(),
  expiresIn,
  reason,
});
export const passwordMessage = z.strictObject({ password: secret, reason });
const keyName = z.string().max(255);
export const apiKeysQuery = z.strictObject({ principal: name.optional() });
/** Without `principal` it is the asker's own. */
export const apiKeyMessage = z.strictObject({
  principal: name.optional(),
  name: keyName.default(''),
  reason,
});
export const renameApiKeyMessage = z.strictObject({ name: keyName, reason });
const poolRules = {
  description: z.string().max(1_000).optional(),
  doors: z.array(z.enum(claimDoors)).max(claimDoors.length).optional(),
  trusted: z.boolean().optional(),
};
export const poolMessage = z.strictObject({ name, ...poolRules, reason });
export const poolChangeMessage = z.strictObject({ name: name.optional(), ...poolRules, reason });
export const rotateMessage = z.strictObject({ expiresIn, reason });
export const planQuery = z.strictObject({ plan: z.enum(['0', '1']).optional() });
export const operationsQuery = z.strictObject({
  machine: name.optional(),
  active: z.enum(['0', '1']).optional(),
});
export const timelineQuery = z.strictObject({
  since: z.coerce.number().int().min(0).optional(),
  until: z.coerce.number().int().min(0).optional(),
  operation: z.string().max(64).optional(),
  cursor: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(200),
});
export const imageQuery = z.strictObject({
  name,
  canBond: z.enum(['true', 'false']).default('true'),
  firstBoot: z.enum(['nocloud', 'none']).default('nocloud'),
  alias: z.union([z.string(), z.array(z.string())]).optional(),
  rawBytes: z.coerce.number().int().positive().optional(),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/i, 'write 64 hexadecimal digits')
    .transform((digits) => digits.toLowerCase())
    .optional(),
});
