import { randomUUID } from 'node:crypto';
import type { StoredRecord } from '../../../core/storage/stored-record.ts';
import type { Tx } from '../../../core/storage/storage.ts';
import type { Fields } from '../fields.ts';
import type { MaasHandler, MaasReply, MaasUser } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { MaasRefusal } from '../maas-refusal.ts';
import { apiRoot } from '../shapes/resource-uri.ts';
import { textOf } from '../text-of.ts';

/** Files are small notes of clients (Juju's state): they lie in the database. */
const maxBytes = 40 * 1024;

/** `files/`: each user's own. */
export function filesHandler({ storage }: MaasContext): MaasHandler {
  return {
    name: 'FilesHandler',
    doc: 'Small files that clients keep, each user for himself.',
    path: 'files/',
    actions: [
      {
        method: 'GET',
        op: null,
        doc: 'The files, without what is in them.',
        params: { prefix: 'only files whose names begin so' },
        handle: ({ fields, user }) =>
          storage.run(async (tx) => {
            const prefix = fields.get('prefix') ?? '';
            const files = await tx.records.list('file', user.principal.name);
            return {
              json: files
                .filter((file) => filenameOf(file).startsWith(prefix))
                .sort((a, b) => (filenameOf(a) < filenameOf(b) ? -1 : 1))
                .map((file) => fileJson(file, false)),
            };
          }),
      },
      {
        method: 'POST',
        op: null,
        doc: 'Keep a file; one of the same name is replaced.',
        effect: 'stored',
        params: { filename: 'name of the file', file: 'what is in it, at most 40 KiB' },
        handle: async ({ fields, user }) => {
          const filename = named(fields);
          const bytes = contentOf(fields);
          const content = bytes.toString('base64');
          await storage.run(async (tx) => {
            const before = await findFile(tx, user, filename);
            if (before) {
              await tx.records.update({ ...before, body: { ...before.body, content } });
              return;
            }
            const owner = user.principal.name;
            const body = { filename, key: randomUUID(), content };
            await tx.records.insert({ kind: 'file', name: nameOf(owner, filename), owner, body });
          });
          return { status: 201, text: '' };
        },
      },
      {
        method: 'GET',
        op: 'get',
        doc: 'What is in a file.',
        params: { filename: 'name of the file' },
        handle: ({ fields, user }) =>
          storage.run(async (tx) => fileBytes(await findFile(tx, user, named(fields)))),
      },
      {
        method: 'GET',
        op: 'get_by_key',
        doc: 'What is in a file, for whoever knows its key.',
        access: 'anybody',
        params: { key: 'key of the file, from its anon_resource_uri' },
        handle: ({ fields }) =>
          storage.run(async (tx) => {
            const key = fields.get('key');
            if (!key) throw new MaasRefusal(400, 'No provided key!');
            const all = await tx.records.list('file');
            return fileBytes(all.find(({ body }) => body['key'] === key) ?? null);
          }),
      },
      {
        method: 'DELETE',
        op: null,
        doc: 'Delete a file.',
        effect: 'stored',
        params: { filename: 'name of the file' },
        handle: ({ fields, user }) => storage.run((tx) => removeFile(tx, user, named(fields))),
      },
    ],
  };
}

/** `files/{filename}/` */
export function fileHandler({ storage }: MaasContext): MaasHandler {
  return {
    name: 'FileHandler',
    doc: 'One file.',
    path: 'files/{filename}/',
    actions: [
      {
        method: 'GET',
        op: null,
        doc: 'The file with what is in it, as base64.',
        handle: ({ param, user }) =>
          storage.run(async (tx) => {
            const file = await findFile(tx, user, param('filename'));
            if (!file) throw noFile();
            return { json: fileJson(file, true) };
          }),
      },
      {
        method: 'DELETE',
        op: null,
        doc: 'Delete the file.',
        effect: 'stored',
        handle: ({ param, user }) => storage.run((tx) => removeFile(tx, user, param('filename'))),
      },
    ],
  };
}

function nameOf(owner: string, filename: string): string {
  return `${owner}/${filename}`;
}

function findFile(tx: Tx, user: MaasUser, filename: string): Promise<StoredRecord | null> {
  return tx.records.findByName('file', nameOf(user.principal.name, filename));
}

async function removeFile(tx: Tx, user: MaasUser, filename: string): Promise<MaasReply> {
  const file = await findFile(tx, user, filename);
  if (!file) throw noFile();
  await tx.records.delete('file', file.id);
  return { empty: true };
}

function named(fields: Fields): string {
  const filename = fields.get('filename');
  if (!filename) throw new MaasRefusal(400, 'Filename not supplied');
  if (Buffer.byteLength(filename) > 100) throw new MaasRefusal(400, 'Filename too long');
  return filename;
}

/** From a part with a file name, or from a plain field. */
function contentOf(fields: Fields): Buffer {
  const part = fields.file('file')?.bytes;
  const text = fields.get('file');
  const bytes = part ?? (text === undefined ? null : Buffer.from(text));
  if (!bytes) throw new MaasRefusal(400, 'File not supplied');
  if (bytes.length > maxBytes)
    throw new MaasRefusal(400, `Files of more than ${maxBytes / 1024} KiB are not kept here.`);
  return bytes;
}

function filenameOf({ body }: StoredRecord): string {
  return textOf(body['filename']);
}

function fileBytes(file: StoredRecord | null): MaasReply {
  if (!file) throw noFile();
  return {
    bytes: Buffer.from(textOf(file.body['content']), 'base64'),
    type: 'application/octet-stream',
  };
}

function fileJson(file: StoredRecord, whole: boolean): unknown {
  const filename = filenameOf(file);
  return {
    filename,
    anon_resource_uri: `${apiRoot}/files/?op=get_by_key&key=${textOf(file.body['key'])}`,
    resource_uri: `${apiRoot}/files/${encodeURIComponent(filename)}/`,
    ...(whole && { content: file.body['content'] }),
  };
}

function noFile(): MaasRefusal {
  return new MaasRefusal(404, 'Not Found');
}
