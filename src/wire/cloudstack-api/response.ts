import { z } from 'zod';

/*
 * Answers of CloudStack's HTTP API, as far as they are read here. Fields that are not named are dropped, so that nothing is kept
 * (keys, passwords) that nobody asked for.
 */

/** What the API says instead of an answer. */
export const apiError = z.object({
  errorcode: z.int(),
  cserrorcode: z.int().optional(),
  errortext: z.string().default(''),
});
export type ApiError = z.output<typeof apiError>;

/** The API's error codes that mean something here (`ApiErrorCode.java`). */
export const apiErrorCode = {
  unauthorized: 401,
  tooManyRequests: 429,
  parameter: 431,
  unsupported: 432,
} as const;

/**
 * The one value of an answer's outer object: `{"listhostsresponse": {...}}`. Errors found before the command is known come as
 * `errorresponse`, so the name says nothing that must be checked.
 * @throws Error when the text is anything else.
 */
export function unwrapped(text: string): unknown {
  const document: unknown = JSON.parse(text);
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    throw new Error('not one JSON object');
  const values: unknown[] = Object.values(document);
  if (values.length !== 1) throw new Error(`an object of ${values.length} members instead of one`);
  return values[0];
}

/** Only what tells which instance it is, and whether it can come back. */
const listedInstance = z.object({
  id: z.string(),
  /** `i-2-77-VM`; for root administrators only, in some releases. */
  instancename: z.string().optional(),
  state: z.string(),
});
export type ListedInstance = z.output<typeof listedInstance>;

/** Without instances the whole list is absent. */
export const listVirtualMachinesResponse = z.object({
  count: z.int().min(0).default(0),
  virtualmachine: z.array(listedInstance).default([]),
});

/** `accounttype` 1 = root administrator (`Account.java`). The real answer also has the user's secret key. */
export const getUserResponse = z.object({ user: z.object({ accounttype: z.int() }) });

export const listCapabilitiesResponse = z.object({
  capability: z.object({ cloudstackversion: z.string() }),
});

/** An asynchronous command's first answer. */
export const jobResponse = z.object({ jobid: z.string() });

/** `jobstatus`: 0 = pending, 1 = done, 2 = failed, with an error as the result. */
export const queryAsyncJobResultResponse = z.object({
  jobstatus: z.int(),
  jobresult: z.unknown().optional(),
});

/** PEM texts (`CertificateResponse.java`). */
export const issueCertificateResult = z.object({
  certificates: z.object({ certificate: z.string(), cacertificates: z.string().default('') }),
});
