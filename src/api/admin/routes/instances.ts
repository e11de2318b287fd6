import { z } from 'zod';
import * as answer from '../answers.ts';
import { route, type Route } from '../route.ts';
import { v1, type RouteContext } from './context.ts';

/** The processes of the service that share its database. */
export function instanceRoutes({ instances, storage }: RouteContext): readonly Route[] {
  return [
    route({
      method: 'get',
      path: `${v1}/instances`,
      summary: 'The instances of the service on this database, and those that ended within a day',
      action: 'service.read',
      answers: { 200: z.object({ instances: z.array(answer.instance) }) },
      handle: async () => {
        const [records, leases] = await storage.run(
          async (tx) => [await tx.instances.list(), await tx.leases.ofKind('machine')] as const,
        );
        const held = new Map<string, number>();
        for (const { owner } of leases) if (owner !== null) held.set(owner, (held.get(owner) ?? 0) + 1);
        return {
          status: 200,
          body: {
            instances: records.map(({ id, name, version, adminUrl, state, startedAt, endedAt, reason }) => ({
              ...{ id, name, version, adminUrl, state, startedAt, endedAt, reason },
              self: id === instances.id,
              // Where one process has everything, nothing is written down about who has what.
              machines: instances.shared ? (held.get(id) ?? 0) : null,
            })),
          },
        };
      },
    }),
  ];
}
