import { z } from 'zod';
import * as answer from '../answers.ts';
import * as message from '../messages.ts';
import { route, type Route } from '../route.ts';
import { principalView } from '../views.ts';
import { v1, type RouteContext } from './context.ts';

const madeToken = { token: z.string(), expiresAt: z.int().nullable() };

export function principalRoutes({ access, users }: RouteContext): readonly Route[] {
  return [
    route({
      method: 'get',
      path: `${v1}/principals`,
      summary: 'Principals, also revoked ones; never their tokens',
      action: 'principal.manage',
      answers: { 200: z.object({ principals: z.array(answer.principal) }) },
      handle: async ({ asker }) => ({
        status: 200,
        body: { principals: (await access.list(asker())).map(principalView) },
      }),
    }),
    route({
      method: 'post',
      path: `${v1}/principals`,
      summary:
        'A new principal; its token is answered once and kept nowhere. One of role user has none, but API keys',
      action: 'principal.manage',
      body: message.principalMessage,
      answers: {
        201: z.object({
          name: z.string(),
          role: z.string(),
          scope: z.string(),
          ...madeToken,
          token: z.string().nullable(),
        }),
      },
      handle: async ({ body, asker }) => {
        const { name, role, scope, email, password = null, expiresIn, reason } = body;
        if (role === 'user' && expiresIn === undefined) {
          await users.create({ name, role, scope, email, password }, asker(reason));
          return { status: 201, body: { name, role, scope, token: null, expiresAt: null } };
        }
        const made = await access.create(
          { name, role, scope, email, password, lifetime: lifetimeOf(expiresIn) },
          asker(reason),
        );
        return { status: 201, body: { name, role, scope, ...made } };
      },
    }),
    route({
      method: 'post',
      path: `${v1}/principals/{name}/token`,
      summary: 'Another token for the principal; the one it has is worth nothing from then on',
      action: 'principal.manage',
      body: message.rotateMessage,
      answers: { 201: z.object({ name: z.string(), ...madeToken }) },
      handle: async ({ body, param, asker }) => {
        const made = await access.rotate(param('name'), lifetimeOf(body.expiresIn), asker(body.reason));
        return { status: 201, body: { name: param('name'), ...made } };
      },
    }),
    route({
      method: 'put',
      path: `${v1}/principals/{name}/password`,
      summary: "The password by which the principal logs in to MAAS's clients",
      action: 'principal.manage',
      body: message.passwordMessage,
      answers: { 204: null },
      handle: async ({ body, param, asker }) => {
        await users.setPassword(param('name'), body.password, asker(body.reason));
        return { status: 204 };
      },
    }),
    route({
      method: 'delete',
      path: `${v1}/principals/{name}`,
      summary: 'End the validity of its token, for good',
      action: 'principal.manage',
      body: message.reasonMessage,
      answers: { 204: null },
      handle: async ({ body, param, asker }) => {
        await access.revoke(param('name'), asker(body.reason));
        return { status: 204 };
      },
    }),
  ];
}

function lifetimeOf(expiresIn: number | undefined): number | null {
  return expiresIn === undefined ? null : expiresIn * 1_000;
}
