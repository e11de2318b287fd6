import { needed, textField } from '../form-field.ts';
import type { MaasHandler } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { invalidField } from '../maas-refusal.ts';
import { apiRoot } from '../shapes/resource-uri.ts';
import { storedResource } from '../stored-resource.ts';
import { textOf } from '../text-of.ts';

const path = 'account/prefs/sslkeys/';

/** `account/prefs/sslkeys/`: certificates that MAAS puts on Windows machines; only kept here. */
export function sslKeysHandlers({ storage }: MaasContext): readonly MaasHandler[] {
  return storedResource(storage, {
    kind: 'ssl-key',
    what: 'SSLKey',
    names: ['SSLKeysHandler', 'SSLKeyHandler'],
    doc: "the caller's certificates, which are only kept",
    paths: [path, `${path}{id}/`],
    form: { key: needed(textField('Certificate as PEM.', { max: 16_384 })) },
    own: true,
    fixed: true,
    created: 201,
    around: async () => null,
    shape: ({ id, body: { key } }) => ({ id, key, resource_uri: `${apiRoot}/${path}${id}/` }),
    check: ({ body }) => {
      if (!/^-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----$/.test(textOf(body['key'])))
        throw invalidField('key', 'Invalid SSL key.');
      return body;
    },
  });
}
