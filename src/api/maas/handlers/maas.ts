import type { JsonValue } from '../../../../plugin-api/index.ts';
import { bootImages, resourceName } from '../boot-images.ts';
import type { Fields } from '../fields.ts';
import type { MaasHandler } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { invalidField, MaasRefusal } from '../maas-refusal.ts';
import { serverConfigDefaults } from '../server-config.ts';

/** What only administrators may read. */
const secretNames = new Set(['vcenter_password', 'maas_auto_ipmi_k_g_bmc_key']);

/** `maas/`: the server's settings; ours are in csbm.yaml, so that these are only kept. */
export function maasHandler(context: MaasContext): MaasHandler {
  const { storage } = context;
  return {
    name: 'MaasHandler',
    doc: 'Settings of MAAS, which are only kept.',
    path: 'maas/',
    actions: [
      {
        method: 'GET',
        op: 'get_config',
        doc: 'The value of a setting.',
        params: { name: 'name of the setting' },
        handle: async ({ fields, user }) => {
          const name = knownName(fields);
          if (secretNames.has(name) && !user.isAdmin)
            throw new MaasRefusal(403, 'This method is reserved for admin users.');
          const stored = await storage.run((tx) => tx.records.findByName('setting', name));
          if (stored) return { json: stored.body['value'] };
          return { json: await defaultOf(context, name) };
        },
      },
      {
        method: 'POST',
        op: 'set_config',
        doc: 'Keep a value for a setting.',
        access: 'admin',
        effect: 'stored',
        params: { name: 'name of the setting', value: 'its value' },
        handle: async ({ fields }) => {
          const name = knownName(fields);
          const body = { value: valueOf(name, fields) };
          await storage.run(async (tx) => {
            const before = await tx.records.findByName('setting', name);
            if (before) await tx.records.update({ ...before, body });
            else await tx.records.insert({ kind: 'setting', name, owner: null, body });
          });
          return { text: 'OK' };
        },
      },
    ],
  };
}

function knownName(fields: Fields): string {
  const name = fields.get('name');
  if (!name) throw new MaasRefusal(400, 'No provided name!');
  if (!Object.hasOwn(serverConfigDefaults, name))
    throw invalidField(
      name.slice(0, 100),
      `${name.slice(0, 100)} is not a valid config setting (valid settings are: ${Object.keys(serverConfigDefaults).join(', ')}).`,
    );
  return name;
}

/** The first image is the one that is deployed where nobody says another. */
async function defaultOf(context: MaasContext, name: string): Promise<JsonValue> {
  if (!/^(default|commissioning)_(osystem|distro_series)$/.test(name)) return serverConfigDefaults[name]!;
  const [first] = await bootImages(context);
  const [osystem = '', series = ''] = first ? resourceName(first).split('/', 2) : [];
  return name.endsWith('osystem') ? osystem : series;
}

/** In the type that the setting has. */
function valueOf(name: string, fields: Fields): JsonValue {
  const text = fields.get('value');
  if (text === undefined) throw new MaasRefusal(400, 'No provided value!');
  const before = serverConfigDefaults[name];
  if (typeof before === 'boolean') return /^(true|t|yes|y|on|1)$/i.test(text);
  if (typeof before !== 'number') return text;
  if (!/^\d{1,9}$/.test(text)) throw invalidField('value', 'Enter a whole number.');
  return Number(text);
}
