import { z } from 'zod';
import { ServiceError } from '../../../kernel/errors/service-error.ts';
import * as answer from '../answers.ts';
import { route, type OtherBody, type Route } from '../route.ts';
import { portView, switchView } from '../views.ts';
import { v1, type RouteContext } from './context.ts';

const rackText = {
  text: 11 * 1024 * 1024,
  summary: 'A rack config (docs/rack-config.md)',
} satisfies OtherBody;

const rackCounts = z.object({ switches: z.int(), wires: z.int() });

export function rackRoutes({ queries, racks }: RouteContext): readonly Route[] {
  return [
    route({
      method: 'get',
      path: `${v1}/rack-config`,
      summary: 'The switches and wires in force, as far as machines within the scope are on them',
      action: 'machine.read',
      answers: { 200: z.object({ switches: z.array(answer.switchShape), wires: z.array(answer.wire) }) },
      handle: async ({ principal }) => {
        const rack = await queries.rack(principal);
        if (rack === null)
          throw new ServiceError({ code: 'request.not-found', what: 'no rack config was uploaded yet' });
        return { status: 200, body: { switches: rack.switches.map(switchView), wires: rack.wires } };
      },
    }),
    route({
      method: 'put',
      path: `${v1}/rack-config`,
      summary: 'Make a rack config the one in force; refused where it would move ports in use',
      action: 'rack.write',
      body: rackText,
      answers: { 200: rackCounts.extend({ warnings: z.array(z.string()) }) },
      handle: async ({ body, asker }) => ({ status: 200, body: await racks.upload(body, asker()) }),
    }),
    route({
      method: 'post',
      path: `${v1}/rack-config/check`,
      summary: 'Check a rack config without taking it',
      action: 'rack.check',
      body: rackText,
      answers: {
        200: rackCounts.extend({
          warnings: z.array(
            z.object({
              line: z.int(),
              column: z.int(),
              path: z.string(),
              message: z.string(),
              remedy: z.string(),
            }),
          ),
        }),
      },
      handle: ({ body }) => {
        const { switches, wires, warnings } = racks.check(body);
        return { status: 200, body: { switches: switches.length, wires: wires.length, warnings } };
      },
    }),
    route({
      method: 'get',
      path: `${v1}/switches`,
      summary: 'The switches of machines within the scope',
      action: 'machine.read',
      answers: { 200: z.object({ switches: z.array(answer.switchShape) }) },
      handle: async ({ principal }) => ({
        status: 200,
        body: { switches: ((await queries.rack(principal))?.switches ?? []).map(switchView) },
      }),
    }),
    route({
      method: 'get',
      path: `${v1}/ports`,
      summary: 'The ports of machines within the scope: wanted and observed',
      action: 'machine.read',
      answers: { 200: z.object({ ports: z.array(answer.port) }) },
      handle: async ({ principal }) => ({
        status: 200,
        body: { ports: (await queries.ports(principal)).map(portView) },
      }),
    }),
  ];
}
