import { z } from 'zod';
import { ServiceError } from '../../../kernel/errors/service-error.ts';
import * as answer from '../answers.ts';
import * as message from '../messages.ts';
import { route, type Route } from '../route.ts';
import { v1, type RouteContext } from './context.ts';

export function imageRoutes({ images }: RouteContext): readonly Route[] {
  return [
    route({
      method: 'get',
      path: `${v1}/images`,
      summary: 'Images that machines are installed with, and those on their way into the library',
      action: 'image.read',
      answers: { 200: z.object({ images: z.array(answer.image), adding: z.array(answer.addingImage) }) },
      handle: async () => ({ status: 200, body: { images: await images.list(), adding: images.adding() } }),
    }),
    route({
      method: 'post',
      path: `${v1}/images`,
      summary: 'Add an image from its bytes',
      action: 'image.write',
      query: message.imageQuery,
      body: { bytes: 'The image: a raw disk as it is or as gzip or zstd, or a virtual disk' },
      answers: { 201: z.object({ image: answer.image }) },
      handle: async ({ query, req, res }) => {
        // Nothing moves on the connection while a large image is measured or converted; these have an end of their own, and a
        // client that is gone ends them. The probes keep the connection in the memory of firewalls.
        req.socket.setTimeout(0);
        req.socket.setKeepAlive(true, 30_000);
        const gone = new AbortController();
        res.once('close', () => {
          if (!res.writableFinished)
            gone.abort(new ServiceError({ code: 'request.invalid', what: 'the client went away' }));
        });
        const image = await images.add(
          {
            name: query.name,
            canBond: query.canBond === 'true',
            firstBoot: query.firstBoot,
            aliases: query.alias === undefined ? [] : [query.alias].flat(),
            rawBytes: query.rawBytes,
            sha256: query.sha256,
          },
          // A refusal in the middle must not destroy the request: its answer goes over the same connection.
          req.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>,
          gone.signal,
        );
        return { status: 201, body: { image } };
      },
    }),
    route({
      method: 'delete',
      path: `${v1}/images/{name}`,
      summary: 'Remove an image that no install needs',
      action: 'image.write',
      answers: { 204: null },
      handle: async ({ param }) => {
        await images.remove(param('name'));
        return { status: 204 };
      },
    }),
  ];
}
