import { Secret } from '../../../../plugin-api/index.ts';
import type { PrincipalRecord } from '../../../core/access/principal.ts';
import type { Fields } from '../fields.ts';
import type { MaasHandler, MaasUser } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { invalidField, MaasRefusal, notFound } from '../maas-refusal.ts';

/** `users/`: principals, as users. Who is no administrator sees only himself. */
export function usersHandler({ users }: MaasContext): MaasHandler {
  return {
    name: 'UsersHandler',
    doc: 'User accounts.',
    path: 'users/',
    actions: [
      {
        method: 'GET',
        op: null,
        doc: 'All users that the caller may see.',
        handle: async ({ user }) => ({
          json: (await users.list()).filter((one) => mayShow(user, one.name)).map(userShape),
        }),
      },
      {
        method: 'POST',
        op: null,
        access: 'admin',
        doc: 'Make a user.',
        params: {
          username: 'name of the user',
          email: 'mail address',
          password: 'password for a login, of 8 characters or more',
          is_superuser: '1 for an administrator, else 0',
        },
        handle: async ({ user, fields }) => {
          const name = required(fields, 'username');
          const email = required(fields, 'email');
          const password = new Secret(required(fields, 'password'));
          const role = isTrue(required(fields, 'is_superuser')) ? 'admin' : 'user';
          if (await users.find(name))
            throw invalidField('username', 'A user with that username already exists.');
          return { json: userShape(await users.create({ name, role, email, password }, user.asker())) };
        },
      },
      {
        method: 'GET',
        op: 'whoami',
        doc: 'The user who asks.',
        handle: async ({ user }) => {
          const found = await users.find(user.principal.name);
          if (!found) throw notFound('User');
          return { json: userShape(found) };
        },
      },
    ],
  };
}

/** `users/{username}/` */
export function userHandler({ users }: MaasContext): MaasHandler {
  return {
    name: 'UserHandler',
    doc: 'One user account.',
    path: 'users/{username}/',
    actions: [
      {
        method: 'GET',
        op: null,
        doc: 'The user.',
        handle: async ({ user, param }) => {
          const found = mayShow(user, param('username')) ? await users.find(param('username')) : null;
          if (!found) throw notFound('User');
          return { json: userShape(found) };
        },
      },
      {
        method: 'DELETE',
        op: null,
        access: 'admin',
        doc: 'Remove the user, with keys, SSH keys and files. Refused while machines are allocated to the user.',
        handle: async ({ user, param }) => {
          const name = param('username');
          if (name === user.principal.name)
            throw new MaasRefusal(400, 'An administrator cannot remove himself.');
          if (!(await users.find(name))) throw notFound('User');
          await users.remove(name, user.asker());
          return { empty: true };
        },
      },
    ],
  };
}

export function userShape({ name, email, role }: PrincipalRecord): object {
  return {
    username: name,
    email,
    is_local: true,
    is_superuser: role === 'admin' || role === 'operator',
    resource_uri: `/MAAS/api/2.0/users/${encodeURIComponent(name)}/`,
  };
}

function mayShow(user: MaasUser, name: string): boolean {
  return user.isAdmin || user.principal.name === name;
}

function required(fields: Fields, name: string): string {
  const value = fields.get(name);
  if (value === undefined || value === '') throw invalidField(name, 'This field is required.');
  return value;
}

function isTrue(text: string): boolean {
  return /^(1|true|t|yes|y|on)$/i.test(text);
}
