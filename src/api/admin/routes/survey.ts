import { z } from 'zod';
import type { JsonObject } from '../../../../plugin-api/index.ts';
import { asCodedError } from '../../../kernel/errors/service-error.ts';
import { route, type Route } from '../route.ts';
import { v1, type RouteContext } from './context.ts';

/** Bytes now and then, so that nothing in between takes a long survey for dead; milliseconds. */
const pulseInterval = 15_000;

/** What a person should look at, found by looking at everything. */
export function surveyRoutes({ survey }: Pick<RouteContext, 'survey'>): readonly Route[] {
  return [
    route({
      method: 'get',
      path: `${v1}/survey`,
      summary:
        'Asks every BMC and every switch, and tells what a person should look at, as far as the scope goes',
      action: 'service.read',
      query: z.strictObject({
        quick: z.enum(['0', '1']).optional().describe('1 = ask no device: only what is known already'),
      }),
      answers: {
        200: {
          media: 'application/x-ndjson',
          summary:
            'Lines of JSON: {"progress": {done, of, last}} as it goes on, then {"report": {at, took, bmcs, switches, findings, others}}, or {"error": ...}',
        },
      },
      handle: async ({ principal, query, res }) => {
        const send = (line: JsonObject): void => void res.write(`${JSON.stringify(line)}\n`);
        res.status(200).set({
          'content-type': 'application/x-ndjson',
          'cache-control': 'no-store',
          'x-accel-buffering': 'no',
        });
        const pulse = setInterval(() => res.write('\n'), pulseInterval);
        try {
          const report = await survey.take(principal, {
            quick: query.quick === '1',
            onProgress: (progress) => send({ progress: { ...progress } }),
          });
          send({ report: report as unknown as JsonObject });
        } catch (thrown) {
          send({ error: asCodedError(thrown).toJSON() as unknown as JsonObject });
        } finally {
          clearInterval(pulse);
          res.end();
        }
        return 'streamed' as const;
      },
    }),
  ];
}
