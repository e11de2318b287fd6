import { hostname } from 'node:os';
import type { StoredRecord } from '../../../core/storage/stored-record.ts';
import type { Tx } from '../../../core/storage/storage.ts';
import { allNames, bootImages } from '../boot-images.ts';
import type { MaasAction, MaasCall, MaasHandler, MaasReply } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { notFound } from '../maas-refusal.ts';
import { powerTypesJson } from '../shapes/power-types.ts';
import { controllerJson } from '../shapes/controller.ts';
import { Surroundings } from '../surroundings.ts';
import { textOf } from '../text-of.ts';

type Kind = 'rackcontrollers' | 'regioncontrollers';

/** There is nothing to import: the images of the library are there at once. */
const importImages = (doc: string, handle: MaasAction['handle']): MaasAction => ({
  method: 'POST',
  op: 'import_boot_images',
  doc,
  access: 'admin',
  effect: 'stored',
  handle,
});

/** `rackcontrollers/` and `rackcontrollers/{system_id}/`: this service. */
export function rackControllersHandlers(context: MaasContext): readonly MaasHandler[] {
  const { storage } = context;
  return [
    {
      name: 'RackControllersHandler',
      doc: 'Rack controllers: this service is the only one.',
      path: 'rackcontrollers/',
      actions: [
        list(context, 'rackcontrollers'),
        {
          method: 'GET',
          op: 'describe_power_types',
          doc: 'How the power of machines can be switched here.',
          handle: () => ({ json: powerTypesJson }),
        },
        importImages('Accepted; images are there at once.', () => ({ status: 202, text: 'Accepted' })),
      ],
    },
    {
      name: 'RackControllerHandler',
      doc: 'This service as a rack controller.',
      path: 'rackcontrollers/{system_id}/',
      actions: [
        read(context, 'rackcontrollers'),
        {
          method: 'GET',
          op: 'list_boot_images',
          doc: 'The images that can be installed, by every name that they have.',
          handle: async (call) => {
            await storage.run((tx) => controller(tx, call, 'RackController'));
            const images = (await bootImages(context)).flatMap((image) =>
              allNames(image).map((name) => ({ name, architecture: 'amd64', subarches: ['generic'] })),
            );
            return { json: { images, connected: true, status: 'synced' } };
          },
        },
        importImages('Accepted; images are there at once.', async (call) => {
          await storage.run((tx) => controller(tx, call, 'RackController'));
          return { status: 202, text: 'Accepted' };
        }),
      ],
    },
  ];
}

/** `regioncontrollers/` and `regioncontrollers/{system_id}/`: this service. */
export function regionControllersHandlers(context: MaasContext): readonly MaasHandler[] {
  return [
    {
      name: 'RegionControllersHandler',
      doc: 'Region controllers: this service is the only one.',
      path: 'regioncontrollers/',
      actions: [list(context, 'regioncontrollers')],
    },
    {
      name: 'RegionControllerHandler',
      doc: 'This service as a region controller.',
      path: 'regioncontrollers/{system_id}/',
      actions: [read(context, 'regioncontrollers')],
    },
  ];
}

function list({ storage, settings }: MaasContext, kind: Kind): MaasAction {
  return {
    method: 'GET',
    op: null,
    doc: 'All of them.',
    params: { id: 'only those with these system ids', hostname: 'only those with these hostnames' },
    handle: ({ fields }): Promise<MaasReply> =>
      storage.run(async (tx) => {
        const around = await Surroundings.read(tx);
        const [ids, names] = [fields.all('id'), fields.all('hostname')];
        const own = hostname().split('.', 1)[0]!;
        const fits = ({ body }: StoredRecord): boolean =>
          (ids.length === 0 || ids.includes(textOf(body['system_id']))) &&
          (names.length === 0 || names.includes(own));
        const records = (await tx.records.list('rack-controller')).filter(fits);
        return { json: records.map((record) => controllerJson(record, around, settings, kind)) };
      }),
  };
}

function read({ storage, settings }: MaasContext, kind: Kind): MaasAction {
  const what = kind === 'rackcontrollers' ? 'RackController' : 'RegionController';
  return {
    method: 'GET',
    op: null,
    doc: 'What is known of it.',
    handle: (call) =>
      storage.run(async (tx) => {
        const record = await controller(tx, call, what);
        return { json: controllerJson(record, await Surroundings.read(tx), settings, kind) };
      }),
  };
}

async function controller(tx: Tx, call: MaasCall, what: string): Promise<StoredRecord> {
  const id = call.param('system_id');
  const found = (await tx.records.list('rack-controller')).find(({ body }) => body['system_id'] === id);
  if (!found) throw notFound(what);
  return found;
}
