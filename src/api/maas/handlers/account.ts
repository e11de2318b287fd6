import { ServiceError } from '../../../kernel/errors/service-error.ts';
import { composeApiKey } from '../../../wire/oauth/api-key.ts';
import type { ApiKey } from '../../../core/access/api-key.ts';
import type { Fields } from '../fields.ts';
import type { MaasHandler } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { MaasRefusal } from '../maas-refusal.ts';

/** `account/`: the caller's own API keys. */
export function accountHandler({ keys }: MaasContext): MaasHandler {
  return {
    name: 'AccountHandler',
    doc: 'API keys of the user who asks.',
    path: 'account/',
    actions: [
      {
        method: 'POST',
        op: 'create_authorisation_token',
        doc: 'Make an API key.',
        params: { name: 'what the key is for' },
        handle: async ({ user, fields }) => {
          const key = await keys.create(user.principal.name, fields.get('name') ?? '', user.asker());
          return {
            json: {
              token_key: key.tokenKey,
              token_secret: key.secret.reveal(),
              consumer_key: key.consumerKey,
              name: key.name,
            },
          };
        },
      },
      {
        method: 'POST',
        op: 'delete_authorisation_token',
        doc: 'Delete an API key: it is worth nothing from then on.',
        params: { token_key: 'the key, or its middle part' },
        handle: async ({ user, fields }) => {
          await orNotFound(keys.revoke(tokenKeyOf(fields, 'token_key'), user.asker()));
          return { empty: true };
        },
      },
      {
        method: 'POST',
        op: 'update_token_name',
        doc: 'Rename an API key.',
        params: { token: 'the key, or its middle part', name: 'its new name' },
        handle: async ({ user, fields }) => {
          const name = fields.get('name');
          if (name === undefined) throw new MaasRefusal(400, 'No provided name!');
          await orNotFound(keys.rename(tokenKeyOf(fields, 'token'), name, user.asker()));
          return { status: 202, text: 'Accepted' };
        },
      },
      {
        method: 'GET',
        op: 'list_authorisation_tokens',
        doc: 'The API keys of the user who asks.',
        handle: async ({ user }) => ({
          json: (await keys.list(user.principal.name, user.asker())).map((key) => ({
            name: key.name,
            token: written(key),
          })),
        }),
      },
    ],
  };
}

function written({ consumerKey, tokenKey, secret }: ApiKey): string {
  return composeApiKey({ consumerKey, tokenKey, tokenSecret: secret });
}

/** Clients give the whole key or its token part. */
function tokenKeyOf(fields: Fields, field: string): string {
  const value = fields.get(field);
  if (!value) throw new MaasRefusal(400, `No provided ${field}!`);
  return value.split(':')[1] ?? value;
}

async function orNotFound(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (thrown) {
    if (thrown instanceof ServiceError && thrown.code === 'request.not-found')
      throw new MaasRefusal(404, 'No Token matches the given query.');
    throw thrown;
  }
}
