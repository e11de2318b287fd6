import { z } from 'zod';
import * as message from '../messages.ts';
import { route, type Route } from '../route.ts';
import { v1, type RouteContext } from './context.ts';

const event = z.object({
  id: z.int(),
  at: z.int().nullable(),
  sensorType: z.string(),
  sensor: z.int().nullable(),
  what: z.string(),
  asserted: z.boolean(),
  raw: z.string(),
});

const sensor = z.object({
  number: z.int(),
  name: z.string(),
  type: z.string(),
  value: z.number().nullable(),
  unit: z.string().nullable(),
  states: z.array(z.string()),
});

const power = z.object({
  observed: z.object({ state: z.enum(['on', 'off']), at: z.int() }).nullable(),
  polling: z
    .object({
      state: z.enum(['closed', 'open', 'blocked']),
      failures: z.int(),
      error: z.object({ code: z.string(), message: z.string() }).nullable(),
    })
    .nullable(),
});

/** What a machine's BMC tells on demand. */
export function bmcRoutes({ machines, queries, bmcs }: RouteContext): readonly Route[] {
  return [
    route({
      method: 'get',
      path: `${v1}/machines/{name}/power`,
      summary: 'Its power as last read in the background, and how that reading goes',
      action: 'machine.read',
      answers: { 200: power },
      handle: async ({ principal, param }) => {
        const { machine } = await queries.machine(principal, param('name'));
        return {
          status: 200,
          body: {
            observed: bmcs.power.observed(machine.id, bmcs.reportMaxAge),
            polling: bmcs.polling(machine.id),
          },
        };
      },
    }),
    route({
      method: 'get',
      path: `${v1}/machines/{name}/events`,
      summary: "Its BMC's System Event Log, read now, the oldest entry first",
      action: 'machine.read',
      answers: { 200: z.object({ events: z.array(event) }) },
      handle: async ({ principal, param }) => {
        const { machine } = await queries.machine(principal, param('name'));
        return { status: 200, body: { events: await bmcs.power.eventLog(machine) } };
      },
    }),
    route({
      method: 'delete',
      path: `${v1}/machines/{name}/events`,
      summary: "Erase its BMC's System Event Log",
      action: 'machine.clear-events',
      body: message.reasonMessage,
      answers: { 204: null },
      handle: async ({ body, param, asker }) => {
        const by = asker(body.reason);
        await bmcs.power.clearEventLog(await machines.commanded(by, 'machine.clear-events', param('name')));
        return { status: 204 };
      },
    }),
    route({
      method: 'get',
      path: `${v1}/machines/{name}/sensors`,
      summary: "Its BMC's sensors, read now",
      action: 'machine.read',
      answers: { 200: z.object({ sensors: z.array(sensor) }) },
      handle: async ({ principal, param }) => {
        const { machine } = await queries.machine(principal, param('name'));
        return { status: 200, body: { sensors: await bmcs.power.sensors(machine) } };
      },
    }),
  ];
}
