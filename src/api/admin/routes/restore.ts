import { z } from 'zod';
import type { Choice } from '../../../operations/restore/choices.ts';
import { route, type Route } from '../route.ts';
import { v1, type RouteContext } from './context.ts';

const time = z.int();

const report = z.object({
  pending: z
    .object({
      at: time,
      why: z.string(),
      backupAt: time.nullable(),
      comparedAt: time.nullable(),
      acceptedAt: time.nullable(),
    })
    .nullable()
    .describe('null = the service is at work as usual'),
  machines: z.array(
    z.object({
      id: z.string(),
      hostname: z.string(),
      state: z.string(),
      holder: z.string().nullable(),
      differences: z.array(z.object({ kind: z.string(), what: z.string() })),
    }),
  ),
  unknown: z
    .array(z.object({ kind: z.string(), what: z.string() }))
    .describe('What was found of machines that the database does not know'),
  same: z
    .int()
    .nullable()
    .describe('How many machines are as the database says; null before the devices were read'),
});

const choices = z.strictObject({
  choices: z
    .record(
      z.string().min(1).max(255),
      z
        .string()
        .regex(
          /^(quarantine|keep|adopt|adopt:.{1,255})$/,
          'write quarantine, keep, adopt or adopt:CLOUD/INSTANCE',
        ),
    )
    .default({})
    .describe('By machine, hostname or id; a machine that differs and is not named is quarantined'),
  reason: z.string().max(1_000).default(''),
});

export const restorePaths = { compare: `${v1}/restore/compare`, accept: `${v1}/restore/accept` } as const;

/** What stands still after a restore, until a person accepts. */
export function restoreRoutes({ restore }: Pick<RouteContext, 'restore'>): readonly Route[] {
  return [
    route({
      method: 'get',
      path: `${v1}/restore`,
      summary: 'Whether a restored database waits to be accepted, and which machines are not as it says',
      action: 'restore.accept',
      answers: { 200: report },
      handle: async () => ({ status: 200, body: await restore.report() }),
    }),
    route({
      method: 'post',
      path: restorePaths.compare,
      summary: 'Reads all devices once more',
      action: 'restore.accept',
      answers: { 200: report },
      handle: async () => {
        if (restore.closed) await restore.compare();
        return { status: 200, body: await restore.report() };
      },
    }),
    route({
      method: 'post',
      path: restorePaths.accept,
      summary: 'Lets the service go to work on a restored database',
      action: 'restore.accept',
      body: choices,
      answers: {
        200: z.object({ machines: z.array(z.object({ hostname: z.string(), done: z.string() })) }),
      },
      handle: async ({ asker, body }) => {
        const chosen = new Map(Object.entries(body.choices).map(([name, text]) => [name, choiceOf(text)]));
        return { status: 200, body: { machines: await restore.accept(chosen, asker(body.reason)) } };
      },
    }),
  ];
}

function choiceOf(text: string): Choice {
  if (text === 'keep' || text === 'quarantine') return { do: text };
  return { do: 'adopt', holder: text === 'adopt' ? null : text.slice('adopt:'.length) };
}
