import { z } from 'zod';
import {
  CodedError,
  milliseconds,
  parseSecretReference,
  resolveSecret,
  type Duration,
  type Secret,
  type SecretSources,
} from '../../../../plugin-api/index.ts';
import { parseDuration } from '../../../kernel/clock/duration.ts';
import { parseApiKey } from '../../../wire/oauth/api-key.ts';
import { parseConnectionString, rootUrl, type MaasAddress } from './connection-string.ts';

/** How one upstream MAAS is reached and waited for. */
export interface MaasSettings extends MaasAddress {
  /** PEM of who signed the server's certificate; absent = the system's authorities. */
  readonly caPem?: string | undefined;
  /** One call, from connecting to the last byte of the answer. MAAS itself takes up to a minute to ask a BMC. */
  readonly requestTimeout: Duration;
  /** How often a call is repeated where MAAS says so, or where it only reads. */
  readonly retries: number;
  /** First wait before a repetition where MAAS names none; doubled each time. */
  readonly retryDelay: Duration;
  /** Longest `Retry-After` that is waited for. */
  readonly maxRetryAfter: Duration;
  /** How often a machine that is changing is read at first, */
  readonly pollInterval: Duration;
  /** and how often after a while without news. */
  readonly pollMax: Duration;
  /** How long MAAS may still show the state from before an order that it accepted. */
  readonly grace: Duration;
  /** Whether a deploy is over only when the machine has switched itself off at the end of its first boot. */
  readonly awaitFirstBoot: boolean;
  /** How long that first boot may take after MAAS says Deployed. */
  readonly firstBootWithin: Duration;
  /** Resource pool of machines that are added to MAAS; absent = its default. */
  readonly pool?: string | undefined;
}

const secretRemedy = 'write env:NAME or file:/path';

function time(fallback: string) {
  return z
    .string()
    .default(fallback)
    .transform((text, context): Duration => {
      const parsed = parseDuration(text);
      if (parsed !== null && parsed > 0) return milliseconds(parsed);
      context.addIssue({ code: 'custom', message: 'write a number and a unit: 250ms, 30s, 5m' });
      return z.NEVER;
    });
}

const reference = z.string().min(1).optional();

const written = z.strictObject({
  endpoint: z.string().min(1).optional(),
  apiKey: reference,
  connection: reference,
  caFile: z.string().min(1).optional(),
  requestTimeout: time('90s'),
  retries: z.int().min(0).max(20).default(4),
  retryDelay: time('1s'),
  maxRetryAfter: time('1m'),
  pollInterval: time('5s'),
  pollMax: time('30s'),
  grace: time('30s'),
  awaitFirstBoot: z.boolean().default(true),
  firstBootWithin: time('20m'),
  pool: z.string().min(1).optional(),
});

/**
 * Reads what the configuration says of one upstream MAAS (`deploy.maas.<name>`), and looks its secrets up.
 * @throws CodedError `config.invalid`, `secret.unresolved`; none shows a value
 */
export function maasSettings(name: string, value: unknown, sources: SecretSources): MaasSettings {
  // With "maas:" before it, it must fit into the record of a machine.
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,26}$/.test(name))
    throw invalid(
      name.slice(0, 40),
      'the name cannot be used',
      'use up to 27 letters, digits, dots, - and _',
    );
  const parsed = written.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const key = [...(issue?.path ?? []), ...(issue?.code === 'unrecognized_keys' ? issue.keys : [])].join(
      '.',
    );
    throw invalid(name, `${key === '' ? 'it' : key} is wrong`, issue?.message ?? 'see docs/engine-maas.md');
  }
  const { endpoint, apiKey, connection, caFile, pool, ...times } = parsed.data;
  const address = addressOf(name, { endpoint, apiKey, connection }, sources);
  return {
    ...times,
    ...address,
    ...(pool !== undefined && { pool }),
    ...(caFile !== undefined && { caPem: readCa(name, caFile, sources) }),
  };
}

function addressOf(
  name: string,
  { endpoint, apiKey, connection }: Pick<z.output<typeof written>, 'endpoint' | 'apiKey' | 'connection'>,
  sources: SecretSources,
): MaasAddress {
  if (connection !== undefined) {
    if (endpoint !== undefined || apiKey !== undefined)
      throw invalid(name, 'connection stands beside endpoint or apiKey', 'use either');
    return parseConnectionString(secretOf(name, 'connection', connection, sources).reveal());
  }
  if (endpoint === undefined || apiKey === undefined)
    throw invalid(name, 'endpoint or apiKey is missing', 'write both, or connection');
  const key = parseApiKey(secretOf(name, 'apiKey', apiKey, sources).reveal());
  if (!key) throw invalid(name, 'apiKey is not consumer:token:secret', 'copy the key as MAAS shows it');
  return { url: rootUrl(endpoint), key };
}

function secretOf(name: string, key: string, text: string, sources: SecretSources): Secret {
  const found = parseSecretReference(text);
  if (found.from === 'literal')
    throw invalid(name, `${key}: the secret itself stands in the file`, secretRemedy);
  return resolveSecret(found, sources);
}

function readCa(name: string, file: string, sources: SecretSources): string {
  try {
    return sources.readFile(file);
  } catch (cause) {
    throw invalid(name, `caFile ${file} cannot be read`, 'let the service read it', cause);
  }
}

function invalid(name: string, what: string, remedy: string, cause?: unknown): CodedError {
  return new CodedError({
    code: 'config.invalid',
    retry: 'operator',
    what,
    where: `deploy.maas.${name}`,
    remedy,
    cause,
  });
}
