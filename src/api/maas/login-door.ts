import { Secret } from '../../../plugin-api/index.ts';
import { askerOf } from '../../core/access/principal.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { parseForm } from '../../wire/maas-form/parse-form.ts';
import { door } from './authentication.ts';
import { Fields } from './fields.ts';
import type { MaasReply } from './handler.ts';
import type { MaasContext } from './maas-context.ts';
import { MaasRefusal } from './maas-refusal.ts';

/** `accounts/authenticate/`: name and password for an API key. The key that a client of this name got before is given again. */
export async function logIn(
  { keys, users }: Pick<MaasContext, 'keys' | 'users'>,
  request: { readonly contentType: string; readonly body: Buffer; readonly source: string },
): Promise<MaasReply> {
  const fields = new Fields(parseForm(request.contentType, request.body).entries);
  const name = fields.get('username') ?? '';
  const password = new Secret(fields.get('password') ?? '');
  let principal;
  try {
    principal = await users.login(name, password, request.source);
  } catch (thrown) {
    if (thrown instanceof ServiceError && thrown.code === 'request.unauthenticated')
      throw new MaasRefusal(403, '');
    throw thrown;
  }
  const key = await keys.ensure(
    principal.name,
    fields.get('consumer') ?? '',
    askerOf(principal, door, 'login'),
  );
  return {
    json: {
      consumer_key: key.consumerKey,
      name: key.name,
      token_key: key.tokenKey,
      token_secret: key.secret.reveal(),
    },
  };
}
