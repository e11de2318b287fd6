import { ServiceError } from '../../../kernel/errors/service-error.ts';
import type { ListedPool, Pools } from '../../../operations/pools.ts';
import { formParams, needed, nameField, readForm, textField } from '../form-field.ts';
import type { MaasHandler } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { invalidField, MaasRefusal, notFound } from '../maas-refusal.ts';
import { poolJson } from '../shapes/pool.ts';
import { textOf } from '../text-of.ts';

/** The pool of machines about which nobody said anything. */
const defaultPool = 'default';

const form = {
  name: needed(nameField('Name of the pool.')),
  description: textField('Description, for people.'),
};

/**
 * `resourcepools/`: our pools. Which doors hand their machines out, and whether their machines may stay on the provisioning network, is
 * no matter of MAAS's.
 */
export function resourcePoolsHandler({ pools }: MaasContext): MaasHandler {
  return {
    name: 'ResourcePoolsHandler',
    doc: 'Pools of machines.',
    path: 'resourcepools/',
    // What gomaasapi asks for; MAAS itself does not have it.
    aliases: ['pools/'],
    actions: [
      {
        method: 'GET',
        op: null,
        doc: 'All pools.',
        handle: async () => ({ json: (await allPools(pools)).map(poolJson) }),
      },
      {
        method: 'POST',
        op: null,
        doc: 'Make a pool.',
        access: 'admin',
        params: formParams(form),
        handle: async ({ fields, user }) => {
          const { name, description } = readForm(form, fields, null);
          const text = textOf(description);
          return {
            json: poolJson(
              await named(() => pools.create(textOf(name), { description: text }, user.asker())),
            ),
          };
        },
      },
    ],
  };
}

/** `resourcepool/{id}/`, by number or name. */
export function resourcePoolHandler({ pools }: MaasContext): MaasHandler {
  return {
    name: 'ResourcePoolHandler',
    doc: 'One pool of machines.',
    path: 'resourcepool/{id}/',
    aliases: ['resourcepools/{id}/'],
    actions: [
      {
        method: 'GET',
        op: null,
        doc: 'The pool.',
        handle: async ({ param }) => ({ json: poolJson(await findPool(pools, param('id'))) }),
      },
      {
        method: 'PUT',
        op: null,
        doc: 'Change name or description of the pool.',
        access: 'admin',
        params: formParams(form),
        handle: async ({ param, fields, user }) => {
          const { name: before, description: told } = await findPool(pools, param('id'));
          const { name, description } = readForm(form, fields, { name: before, description: told });
          if (before === defaultPool && name !== before)
            throw new MaasRefusal(400, 'The default pool cannot be renamed.');
          const change = { name: textOf(name), description: textOf(description) };
          return { json: poolJson(await named(() => pools.update(before, change, user.asker()))) };
        },
      },
      {
        method: 'DELETE',
        op: null,
        doc: 'Delete the pool; refused while it has machines.',
        access: 'admin',
        handle: async ({ param, user }) => {
          const { name } = await findPool(pools, param('id'));
          if (name === defaultPool)
            throw new MaasRefusal(400, 'This is the default pool, it cannot be deleted.');
          await pools.delete(name, user.asker());
          return { empty: true };
        },
      },
    ],
  };
}

type ShownPool = Pick<ListedPool, 'name' | 'description'> & { readonly id: number | null };

/** In order of name; the default one is there even when it has no machine. */
async function allPools(pools: Pools): Promise<readonly ShownPool[]> {
  const listed = await pools.listed();
  if (listed.some(({ name }) => name === defaultPool)) return listed;
  return [{ id: null, name: defaultPool, description: '' }, ...listed];
}

async function findPool(pools: Pools, text: string): Promise<ShownPool> {
  const all = await allPools(pools);
  const found =
    all.find(({ id, name }) => (id !== null && String(id) === text) || name === text) ??
    all.find(({ name }) => text === '0' && name === defaultPool);
  if (!found) throw notFound('ResourcePool');
  return found;
}

/** A name that is taken, or none, is told as MAAS's form does. */
async function named<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    if (!(thrown instanceof ServiceError)) throw thrown;
    if (thrown.code === 'pool.exists')
      throw invalidField('name', 'Resource pool with this Name already exists.');
    if (thrown.code === 'request.invalid') throw invalidField('name', thrown.what);
    throw thrown;
  }
}
