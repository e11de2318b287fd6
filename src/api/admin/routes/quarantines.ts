import { z } from 'zod';
import { subjectKinds, type SubjectKind } from '../../../core/quarantine/quarantine.ts';
import { ServiceError } from '../../../kernel/errors/service-error.ts';
import * as answer from '../answers.ts';
import * as message from '../messages.ts';
import { route, type Route } from '../route.ts';
import { v1, type RouteContext } from './context.ts';

const records = z.object({ quarantines: z.array(answer.quarantineRecord) });

/** Machines, ports, switches and BMCs that are withheld, and were. */
export function quarantineRoutes({ quarantines }: RouteContext): readonly Route[] {
  return [
    route({
      method: 'get',
      path: `${v1}/quarantines`,
      summary: 'What is in quarantine, as far as the scope goes; with lifted=1 also what was',
      action: 'machine.read',
      query: z.object({ lifted: z.enum(['0', '1']).optional() }),
      answers: { 200: records },
      handle: async ({ principal, query }) => ({
        status: 200,
        body: { quarantines: await quarantines.list(principal, { lifted: query.lifted === '1' }) },
      }),
    }),
    route({
      method: 'get',
      path: `${v1}/quarantines/{kind}/{name}`,
      summary: 'Why, how often and until when one machine, port, switch or BMC is and was in quarantine',
      action: 'machine.read',
      answers: { 200: records },
      handle: async ({ principal, param }) => ({
        status: 200,
        body: { quarantines: await quarantines.show(kindOf(param('kind')), param('name'), principal) },
      }),
    }),
    route({
      method: 'post',
      path: `${v1}/quarantines/{kind}/{name}`,
      summary: 'Put a machine, port, switch or BMC into quarantine',
      action: 'machine.withhold',
      body: message.reasonMessage,
      answers: { 200: records },
      handle: async ({ body, param, asker }) => ({
        status: 200,
        body: {
          quarantines: await quarantines.put(kindOf(param('kind')), param('name'), asker(body.reason)),
        },
      }),
    }),
    route({
      method: 'delete',
      path: `${v1}/quarantines/{kind}/{name}`,
      summary: 'Lift a quarantine',
      action: 'machine.withhold',
      body: message.reasonMessage,
      answers: { 200: records },
      handle: async ({ body, param, asker }) => ({
        status: 200,
        body: {
          quarantines: await quarantines.lift(kindOf(param('kind')), param('name'), asker(body.reason)),
        },
      }),
    }),
  ];
}

function kindOf(text: string): SubjectKind {
  const kind = subjectKinds.find((one) => one === text);
  if (kind) return kind;
  throw new ServiceError({
    code: 'request.not-found',
    what: `there are no quarantines of a "${text}"`,
    remedy: `use one of: ${subjectKinds.join(', ')}`,
  });
}
