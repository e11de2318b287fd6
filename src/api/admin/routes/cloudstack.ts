import { z } from 'zod';
import { ServiceError } from '../../../kernel/errors/service-error.ts';
import { route, type Route } from '../route.ts';
import { v1, type RouteContext } from './context.ts';

const errorShape = z.object({
  code: z.string(),
  retry: z.enum(['never', 'later', 'operator']),
  what: z.string(),
  where: z.string().optional(),
  said: z.string().optional(),
  remedy: z.string().optional(),
});

const report = z
  .object({
    at: z.int(),
    dryRun: z.boolean(),
    destroy: z.boolean(),
    roundsNeeded: z.int(),
    problem: errorShape.nullable(),
    brake: z.string().nullable(),
    entries: z.array(
      z.object({
        machineId: z.string(),
        hostname: z.string(),
        instance: z.string(),
        instanceUuid: z.string().nullable(),
        verdict: z.enum(['present', 'recoverable', 'gone', 'unclear', 'busy']),
        detail: z.string(),
        rounds: z.int(),
        action: z.enum([
          'none',
          'counting',
          'reported',
          'held-back',
          'destroying',
          'would-destroy',
          'refused',
        ]),
        operationId: z.string().nullable(),
      }),
    ),
  })
  .meta({ id: 'ReconcileReport' });

const reconcileMessage = z.strictObject({ dryRun: z.boolean().default(false) });

/** CloudStack's HTTP API, as far as people ask for what is done by it. */
export function cloudstackRoutes({ cloudstack }: Pick<RouteContext, 'cloudstack'>): readonly Route[] {
  const { reconciler = null, issueCertificate = null } = cloudstack ?? {};
  return [
    route({
      method: 'get',
      path: `${v1}/cloudstack/reconcile`,
      summary: 'The last look for expunged instances that counted; null before the first',
      action: 'cloud.read',
      answers: { 200: z.object({ report: report.nullable() }) },
      handle: () => ({ status: 200, body: { report: configured(reconciler).last } }),
    }),
    route({
      method: 'post',
      path: `${v1}/cloudstack/reconcile`,
      summary: 'Look for expunged instances now; a dry run counts nothing and does nothing',
      action: 'cloud.write',
      body: reconcileMessage,
      answers: { 200: z.object({ report }) },
      handle: async ({ body: { dryRun } }) => ({
        status: 200,
        body: { report: await configured(reconciler).round({ dryRun }) },
      }),
    }),
    route({
      method: 'post',
      path: `${v1}/cloudstack/certificate`,
      summary: "Have CloudStack issue this service's certificate for port 8250",
      action: 'cloud.write',
      body: z.strictObject({}),
      answers: {
        200: z.object({
          certificate: z.object({
            source: z.string(),
            state: z.string(),
            subject: z.string().nullable(),
            expiresAt: z.int().nullable(),
          }),
        }),
      },
      handle: async () => ({ status: 200, body: { certificate: await configured(issueCertificate)() } }),
    }),
  ];
}

function configured<T>(part: T | null): T {
  if (part !== null) return part;
  throw new ServiceError({
    code: 'config.invalid',
    what: "CloudStack's HTTP API is not configured",
    remedy: 'set cloudstack.api in csbm.yaml; for certificates, cloudstack.agent too',
  });
}
