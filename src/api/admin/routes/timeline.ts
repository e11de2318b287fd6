import { Timeline } from '../../../operations/timeline/timeline.ts';
import * as answer from '../answers.ts';
import * as message from '../messages.ts';
import { route, type Route } from '../route.ts';
import { v1, type RouteContext } from './context.ts';

/** What happened to machines, and how long that is kept. */
export function timelineRoutes(context: RouteContext): readonly Route[] {
  const { pruner, storage } = context;
  const timeline = new Timeline(storage);
  return [
    route({
      method: 'get',
      path: `${v1}/machines/{name}/timeline`,
      summary:
        'What happened to it, the newest first: commands, operations, steps, ports, BMC, engine, alarms',
      action: 'machine.timeline',
      query: message.timelineQuery,
      answers: { 200: answer.timelinePage },
      handle: async ({ principal, query, param }) => {
        const page = await timeline.page(principal, { ...query, machine: param('name') });
        return { status: 200, body: page };
      },
    }),
    route({
      method: 'post',
      path: `${v1}/prune`,
      summary: 'Remove now what is older than its retention; with plan=1 only count it',
      action: 'service.prune',
      query: message.planQuery,
      body: message.reasonMessage,
      answers: { 200: answer.pruned },
      handle: async ({ query }) => {
        const dryRun = query.plan === '1';
        const rows = await (dryRun ? pruner.plan() : pruner.prune());
        return { status: 200, body: { dryRun, rows } };
      },
    }),
  ];
}
