import { createHash, createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { Secret } from '../../../plugin-api/index.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';

/**
 * Where the keys come from: a file of mode 0600, made at the first start, or a value (from the environment). Both hold one
 * key a line or word, 32 bytes in base64: the first one seals, every one opens. A rotation puts a new key in front.
 */
export type KeySource = { readonly file: string } | { readonly base64: Secret };

const keyBytes = 32;

/** The keys by id. The id is derived from the key, so that a wrong key is known as such before anything is opened with it. */
export class KeyRing {
  /** Id of the key that seals. */
  readonly sealing: string;
  /** As objects: they show nothing of themselves, and a cipher takes them as they are. */
  readonly #keys: ReadonlyMap<string, KeyObject>;

  constructor(keys: readonly Buffer[]) {
    this.#keys = new Map(keys.map((key) => [keyId(key), createSecretKey(key)]));
    this.sealing = keyId(keys[0]!);
  }

  get ids(): readonly string[] {
    return [...this.#keys.keys()];
  }

  key(id: string): KeyObject | undefined {
    return this.#keys.get(id);
  }
}

function keyId(key: Buffer): string {
  return createHash('sha256').update('csbm key id\0').update(key).digest('hex').slice(0, 16);
}

/**
 * Reads the keys, and makes the key file when there is none and `mayCreate`.
 * @throws ServiceError `store.secret` when there is no key, it is malformed, or others may read the file.
 */
export function loadKeyRing(source: KeySource, mayCreate: boolean): KeyRing {
  if ('base64' in source) return parseKeys(source.base64.reveal(), 'the key from the environment');
  const { file } = source;
  if (!existsSync(file)) {
    if (!mayCreate) {
      throw new ServiceError({
        code: 'store.secret',
        what: 'the key file is missing, but the database is there',
        where: file,
      });
    }
    createKeyFile(file);
  }
  const mode = statSync(file).mode & 0o777;
  if (mode & 0o077) {
    throw new ServiceError({
      code: 'store.secret',
      what: `the key file may be used by others than its owner (mode ${mode.toString(8)})`,
      where: file,
      remedy: `chmod 600 ${file}, and consider the key known to them: rotate it`,
    });
  }
  return parseKeys(readFileSync(file, 'utf8'), file);
}

function parseKeys(text: string, where: string): KeyRing {
  const keys = text
    .split(/[\s,]+/)
    .filter((word) => word !== '')
    .map((word) => Buffer.from(word, 'base64'));
  if (keys.length === 0 || keys.some((key) => key.length !== keyBytes)) {
    throw new ServiceError({
      code: 'store.secret',
      what: `the key is not ${keyBytes} bytes in base64`,
      where,
      remedy: `restore it; a new one is made by: openssl rand -base64 ${keyBytes}`,
    });
  }
  return new KeyRing(keys);
}

/** Written under another name first, so that a crash leaves either no key file or a whole one. */
function createKeyFile(file: string): void {
  const draft = `${file}.new`;
  const descriptor = openSync(draft, 'w', 0o600);
  try {
    // An older draft keeps its mode when it is opened again.
    chmodSync(draft, 0o600);
    writeSync(descriptor, `${randomBytes(keyBytes).toString('base64')}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(draft, file);
  const directory = openSync(dirname(file), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
