import { z } from 'zod';
import * as answer from '../answers.ts';
import { followOperation } from '../follow.ts';
import * as message from '../messages.ts';
import { route, type Route } from '../route.ts';
import { operationView, stepView } from '../views.ts';
import { command, commandAnswers, v1, type RouteContext } from './context.ts';

export function operationRoutes(context: RouteContext): readonly Route[] {
  const { operations, queries } = context;
  return [
    route({
      method: 'get',
      path: `${v1}/operations`,
      summary: 'Operations on machines within the scope, the newest first, 200 at most',
      action: 'machine.read',
      query: message.operationsQuery,
      answers: { 200: z.object({ operations: z.array(answer.operation) }) },
      handle: async ({ principal, query }) => {
        const found = await queries.operations(principal, {
          machine: query.machine,
          active: query.active === '1',
        });
        return { status: 200, body: { operations: found.map(operationView) } };
      },
    }),
    route({
      method: 'get',
      path: `${v1}/operations/{id}`,
      summary: 'One operation with its steps and their evidence',
      action: 'machine.read',
      answers: { 200: z.object({ operation: answer.operation, steps: z.array(answer.step) }) },
      handle: async ({ principal, param }) => {
        const { operation, steps } = await queries.operation(principal, param('id'));
        return { status: 200, body: { operation: operationView(operation), steps: steps.map(stepView) } };
      },
    }),
    route({
      method: 'get',
      path: `${v1}/operations/{id}/follow`,
      summary: 'The same as it happens: lines of JSON, {"step": ...} and {"operation": ...}, until it ends',
      action: 'machine.read',
      answers: { 200: { media: 'application/x-ndjson', summary: 'One JSON object a line' } },
      handle: async ({ principal, param, res }) => {
        await queries.operation(principal, param('id'));
        await followOperation(context, param('id'), res);
        return 'streamed' as const;
      },
    }),
    route({
      method: 'post',
      path: `${v1}/operations/{id}/cancel`,
      summary: 'Ask it to stop at its next safe point and to undo itself',
      action: 'operation.cancel',
      body: message.reasonMessage,
      answers: { 202: z.object({}) },
      handle: async ({ body, param, asker }) => {
        await operations.cancel(param('id'), asker(body.reason));
        return { status: 202, body: {} };
      },
    }),
    route({
      method: 'post',
      path: `${v1}/operations/{id}/retry`,
      summary: 'Ask once more for what an ended operation was; takes the right to that operation',
      action: 'machine.read',
      query: message.planQuery,
      body: message.reasonMessage,
      answers: commandAnswers,
      handle: async ({ query, body, param, asker }) =>
        command(operations, query, await operations.requestOf(param('id'), asker(body.reason))),
    }),
  ];
}
