import type { StoredRecord } from '../../../core/storage/stored-record.ts';
import { needed, textField, wordsField } from '../form-field.ts';
import type { MaasHandler } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { invalidField, notFound } from '../maas-refusal.ts';
import { isoMoment } from '../moment.ts';
import { apiRoot } from '../shapes/resource-uri.ts';
import { storedResource } from '../stored-resource.ts';
import { textOf } from '../text-of.ts';

/** `boot-sources/`: only kept; images come from the library. */
export function bootSourcesHandlers({ storage, clock }: MaasContext): readonly MaasHandler[] {
  return storedResource(storage, {
    kind: 'boot-source',
    what: 'BootSource',
    names: ['BootSourcesHandler', 'BootSourceHandler'],
    doc: 'addresses of images, which are only kept',
    paths: ['boot-sources/', 'boot-sources/{id}/'],
    form: {
      url: needed(textField('Address of the images.', { max: 2048 })),
      keyring_filename: textField('Only kept.', { max: 4096 }),
      keyring_data: textField('Base64; only kept.', { max: 40_000 }),
    },
    created: 201,
    nameField: 'url',
    name: (body) => textOf(body['url']),
    around: async () => null,
    shape: bootSourceJson,
    check: ({ body, before }) => {
      if (!/^https?:\/\/\S+$/.test(textOf(body['url']))) throw invalidField('url', 'Enter a valid URL.');
      const now = clock.now();
      return { ...body, created: before?.body['created'] ?? now, updated: now };
    },
    deleting: async (tx, { id }) => {
      for (const selection of await tx.records.list('boot-selection'))
        if (selection.body['source'] === id) await tx.records.delete('boot-selection', selection.id);
    },
  });
}

/** `boot-sources/{boot_source_id}/selections/`: only kept. */
export function bootSelectionsHandlers({ storage }: MaasContext): readonly MaasHandler[] {
  const path = 'boot-sources/{boot_source_id}/selections/';
  return storedResource(storage, {
    kind: 'boot-selection',
    what: 'BootSourceSelection',
    names: ['BootSourceSelectionsHandler', 'BootSourceSelectionHandler'],
    doc: 'images of an address, which are only kept',
    paths: [path, `${path}{id}/`],
    form: {
      os: needed(textField('Operating system.')),
      release: needed(textField('Release.')),
      arches: wordsField('Architectures.'),
      subarches: wordsField('Sub-architectures.'),
      labels: wordsField('Labels.'),
    },
    created: 201,
    around: async () => null,
    shape: ({ id, body: { source, os, release, arches, subarches, labels } }) => ({
      id,
      boot_source_id: source,
      os,
      release,
      arches,
      subarches,
      labels,
      resource_uri: `${apiRoot}/boot-sources/${Number(source)}/selections/${id}/`,
    }),
    within: async (_tx, call) => {
      const source = Number(call.param('boot_source_id'));
      return ({ body }) => body['source'] === source;
    },
    find: async (tx, call) => {
      const found = await tx.records.find('boot-selection', Number(call.param('id')) || 0);
      return found?.body['source'] === Number(call.param('boot_source_id')) ? found : null;
    },
    check: async ({ tx, call, body }) => {
      const source = await tx.records.find('boot-source', Number(call.param('boot_source_id')) || 0);
      if (!source) throw notFound('BootSource');
      return { ...body, source: source.id };
    },
  });
}

function bootSourceJson({ id, body }: StoredRecord): unknown {
  return {
    id,
    url: body['url'],
    keyring_filename: body['keyring_filename'],
    keyring_data: body['keyring_data'],
    created: isoMoment(Number(body['created'])),
    updated: isoMoment(Number(body['updated'])),
    resource_uri: `${apiRoot}/boot-sources/${id}/`,
  };
}
