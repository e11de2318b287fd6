import type { MaasHandler } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { needed, textField } from '../form-field.ts';
import { invalidField } from '../maas-refusal.ts';
import { apiRoot } from '../shapes/resource-uri.ts';
import { storedResource } from '../stored-resource.ts';
import { textOf } from '../text-of.ts';

const path = 'account/prefs/sshkeys/';

/** `account/prefs/sshkeys/`: keys that are put on the machines that their owner deploys. */
export function sshKeysHandlers({ storage }: MaasContext): readonly MaasHandler[] {
  return storedResource(storage, {
    kind: 'ssh-key',
    what: 'SSHKey',
    names: ['SSHKeysHandler', 'SSHKeyHandler'],
    doc: "the caller's SSH keys, which are put on the machines that he deploys",
    paths: [path, `${path}{id}/`],
    form: { key: needed(textField('Public key as in authorized_keys.', { max: 16_384 })) },
    own: true,
    fixed: true,
    effect: 'acts',
    created: 201,
    around: async () => null,
    shape: ({ id, body: { key } }) => ({
      id,
      key,
      keysource: null,
      resource_uri: `${apiRoot}/${path}${id}/`,
    }),
    check: async ({ tx, call, body }) => {
      const key = textOf(body['key']);
      if (!isPublicKey(key)) throw invalidField('key', 'Invalid SSH public key.');
      const others = await tx.records.list('ssh-key', call.user.principal.name);
      if (others.some((one) => one.body['key'] === key))
        throw invalidField('key', 'This key has already been added for this user.');
      return { ...body, key };
    },
  });
}

/** `type base64 comment`, where the decoded text says the type once more: one line of authorized_keys without options. */
export function isPublicKey(text: string): boolean {
  const match = /^((?:ssh|ecdsa|sk)-[\w@.-]+) +([A-Za-z0-9+/]+={0,2})(?: [^\r\n]*)?$/.exec(text);
  if (!match) return false;
  const [, type = '', encoded = ''] = match;
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.length < 4) return false;
  const length = bytes.readUInt32BE(0);
  return bytes.length > 4 + length && bytes.toString('latin1', 4, 4 + length) === type;
}
