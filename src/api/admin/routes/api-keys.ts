import { z } from 'zod';
import type { ApiKey } from '../../../core/access/api-key.ts';
import * as answer from '../answers.ts';
import * as message from '../messages.ts';
import { route, type Route } from '../route.ts';
import { v1, type RouteContext } from './context.ts';

export function apiKeyRoutes({ keys }: RouteContext): readonly Route[] {
  return [
    route({
      method: 'get',
      path: `${v1}/api-keys`,
      summary: 'API keys for MAAS clients, the own ones or those of another principal; never their secrets',
      // Everybody has keys of his own; whose they may be, the operation looks at.
      action: 'service.read',
      query: message.apiKeysQuery,
      answers: { 200: z.object({ apiKeys: z.array(answer.apiKey) }) },
      handle: async ({ query, principal, asker }) => {
        const found = await keys.list(query.principal ?? principal.name, asker());
        return { status: 200, body: { apiKeys: found.map(apiKeyView) } };
      },
    }),
    route({
      method: 'post',
      path: `${v1}/api-keys`,
      summary: 'A new API key, of one’s own or for another principal; it is answered once in full',
      action: 'service.read',
      body: message.apiKeyMessage,
      answers: { 201: z.object({ apiKey: answer.apiKey, key: z.string() }) },
      handle: async ({ body, principal, asker }) => {
        const key = await keys.create(body.principal ?? principal.name, body.name, asker(body.reason));
        const written = `${key.consumerKey}:${key.tokenKey}:${key.secret.reveal()}`;
        return { status: 201, body: { apiKey: apiKeyView(key), key: written } };
      },
    }),
    route({
      method: 'put',
      path: `${v1}/api-keys/{token}`,
      summary: 'Another name for an API key',
      action: 'service.read',
      body: message.renameApiKeyMessage,
      answers: { 204: null },
      handle: async ({ body, param, asker }) => {
        await keys.rename(param('token'), body.name, asker(body.reason));
        return { status: 204 };
      },
    }),
    route({
      method: 'delete',
      path: `${v1}/api-keys/{token}`,
      summary: 'End the validity of an API key, for good',
      action: 'service.read',
      body: message.reasonMessage,
      answers: { 204: null },
      handle: async ({ body, param, asker }) => {
        await keys.revoke(param('token'), asker(body.reason));
        return { status: 204 };
      },
    }),
  ];
}

function apiKeyView({ tokenKey, name, principal, createdAt }: ApiKey): object {
  return { token: tokenKey, name, principal, createdAt };
}
