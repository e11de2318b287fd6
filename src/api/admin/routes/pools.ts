import { z } from 'zod';
import { Pools } from '../../../operations/pools.ts';
import * as answer from '../answers.ts';
import * as message from '../messages.ts';
import { route, type Route } from '../route.ts';
import { v1, type RouteContext } from './context.ts';

export function poolRoutes({ storage }: RouteContext): readonly Route[] {
  const pools = new Pools(storage);
  return [
    route({
      method: 'get',
      path: `${v1}/pools`,
      summary: 'Pools of machines, and through which doors their machines are handed out',
      action: 'service.read',
      answers: { 200: z.object({ pools: z.array(answer.pool) }) },
      handle: async ({ principal }) => ({
        status: 200,
        body: { pools: await pools.listed(principal) },
      }),
    }),
    route({
      method: 'post',
      path: `${v1}/pools`,
      summary: 'Describe a new pool; machines join it by their enrolment',
      action: 'pool.write',
      body: message.poolMessage,
      answers: { 201: z.object({ pool: answer.pool }) },
      handle: async ({ body: { name, reason, ...rules }, asker, principal }) => {
        await pools.create(name, rules, asker(reason));
        return { status: 201, body: { pool: await pools.shown(name, principal) } };
      },
    }),
    route({
      method: 'put',
      path: `${v1}/pools/{name}`,
      summary: 'Change what is said about a pool, or its name, with which its machines go',
      action: 'pool.write',
      body: message.poolChangeMessage,
      answers: { 200: z.object({ pool: answer.pool }) },
      handle: async ({ body: { reason, ...change }, param, asker, principal }) => {
        const { name } = await pools.update(param('name'), change, asker(reason));
        return { status: 200, body: { pool: await pools.shown(name, principal) } };
      },
    }),
    route({
      method: 'delete',
      path: `${v1}/pools/{name}`,
      summary: 'Forget a pool that has no machines',
      action: 'pool.write',
      body: message.reasonMessage,
      answers: { 204: null },
      handle: async ({ body, param, asker }) => {
        await pools.delete(param('name'), asker(body.reason));
        return { status: 204 };
      },
    }),
  ];
}
