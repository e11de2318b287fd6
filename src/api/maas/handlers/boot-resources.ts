import { authorise } from '../../../core/access/rights.ts';
import { bootImages, imageNumbers, resourceName, type BootImage } from '../boot-images.ts';
import type { MaasHandler } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { MaasRefusal, notFound } from '../maas-refusal.ts';
import { apiRoot } from '../shapes/resource-uri.ts';

/** `boot-resources/`: the images that our deploy engines can install. They are uploaded with `csbm image add`. */
export function bootResourcesHandler(context: MaasContext): MaasHandler {
  return {
    name: 'BootResourcesHandler',
    doc: 'Images.',
    path: 'boot-resources/',
    actions: [
      {
        method: 'GET',
        op: null,
        doc: 'All images.',
        params: { type: 'synced or uploaded; all of ours are uploaded' },
        handle: async ({ fields }) => {
          const type = fields.get('type');
          if (type && type !== 'synced' && type !== 'uploaded')
            throw new MaasRefusal(
              400,
              `'${type}' is not a valid boot resource type. Available types: synced, uploaded`,
            );
          if (type === 'synced') return { json: [] };
          const { images, numbers } = await numbered(context);
          return { json: images.map((image) => resourceJson(image, numbers.get(image.name)!)) };
        },
      },
      {
        method: 'GET',
        op: 'is_importing',
        doc: 'Never: nothing is imported here.',
        handle: () => ({ json: false }),
      },
    ],
  };
}

/** `boot-resources/{id}/` */
export function bootResourceHandler(context: MaasContext): MaasHandler {
  const find = async (text: string): Promise<{ readonly image: BootImage; readonly id: number }> => {
    const { images, numbers } = await numbered(context);
    const image = images.find(({ name }) => String(numbers.get(name)) === text);
    if (!image) throw notFound('BootResource');
    return { image, id: Number(text) };
  };
  return {
    name: 'BootResourceHandler',
    doc: 'One image.',
    path: 'boot-resources/{id}/',
    actions: [
      {
        method: 'GET',
        op: null,
        doc: 'The image, with its file.',
        handle: async ({ param }) => {
          const { image, id } = await find(param('id'));
          return { json: { ...resourceJson(image, id), sets: setsJson(image) } };
        },
      },
      {
        method: 'DELETE',
        op: null,
        doc: 'Remove the image; refused while a machine is installed with it.',
        access: 'admin',
        handle: async ({ param, user }) => {
          const { image } = await find(param('id'));
          authorise(user.asker(), 'image.write');
          if (!image.stored)
            throw new MaasRefusal(409, 'The image belongs to a deploy engine of its own: remove it there.');
          await context.images.remove(image.name);
          return { empty: true };
        },
      },
    ],
  };
}

async function numbered(context: MaasContext): Promise<{
  readonly images: readonly BootImage[];
  readonly numbers: ReadonlyMap<string, number>;
}> {
  const images = await bootImages(context);
  return { images, numbers: await imageNumbers(context, images) };
}

function resourceJson(image: BootImage, id: number): Readonly<Record<string, unknown>> {
  return {
    id,
    type: 'Uploaded',
    name: resourceName(image),
    // Every machine that our engines install is one.
    architecture: 'amd64/generic',
    subarches: 'generic',
    kflavor: 'generic',
    title: image.name,
    last_deployed: null,
    resource_uri: `${apiRoot}/boot-resources/${id}/`,
  };
}

function setsJson({ stored }: BootImage): Readonly<Record<string, unknown>> {
  if (!stored) return {};
  const version = new Date(stored.createdAt).toISOString().slice(0, 10).replaceAll('-', '');
  const file = {
    filename: stored.file,
    filetype: 'root-dd',
    sha256: stored.sha256,
    size: stored.storedBytes,
    complete: true,
  };
  return {
    [version]: {
      version,
      label: 'uploaded',
      size: stored.storedBytes,
      complete: true,
      files: { [stored.file]: file },
    },
  };
}
