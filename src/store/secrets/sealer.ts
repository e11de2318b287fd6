import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import type { KeyRing } from './key-ring.ts';

/** Where a sealed value lives. It is authenticated with the value, so that a value moved to another row or column does not open. */
export interface SealedPlace {
  readonly table: string;
  readonly row: string;
  readonly field: string;
}

const algorithm = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;
/** How many opened envelopes are remembered, and up to which length. */
const remembered = { envelopes: 4_096, chars: 4_096 };

/** Seals texts for the database: AES-256-GCM under a random nonce, written `v1.kid.iv.ct.tag` (the last three in base64url). */
export class Sealer {
  readonly #ring: KeyRing;
  /** What was opened lately, by place and envelope: the same rows are read again and again, and opening them costs most. */
  readonly #opened = new Map<string, string>();

  constructor(ring: KeyRing) {
    this.#ring = ring;
  }

  seal(text: string, place: SealedPlace): string {
    const id = this.#ring.sealing;
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv(algorithm, this.#ring.key(id)!, nonce, { authTagLength: tagBytes });
    cipher.setAAD(boundTo(place));
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return ['v1', id, ...[nonce, sealed, cipher.getAuthTag()].map((part) => part.toString('base64url'))].join(
      '.',
    );
  }

  /** @throws ServiceError `store.secret` when the key is missing, the text was changed, or it belongs elsewhere. */
  open(envelope: string, place: SealedPlace): string {
    if (envelope.length > remembered.chars) return this.#open(envelope, place);
    const key = `${envelope} ${place.table} ${place.field} ${place.row}`;
    const known = this.#opened.get(key);
    if (known !== undefined) return known;
    const text = this.#open(envelope, place);
    if (this.#opened.size >= remembered.envelopes) {
      const [oldest] = this.#opened.keys();
      this.#opened.delete(oldest!);
    }
    this.#opened.set(key, text);
    return text;
  }

  #open(envelope: string, place: SealedPlace): string {
    const [version, id, nonce, sealed, tag, ...rest] = envelope.split('.');
    if (
      version !== 'v1' ||
      id === undefined ||
      nonce === undefined ||
      sealed === undefined ||
      rest.length > 0
    )
      throw unopened(place, 'it is not an envelope of version 1');
    const key = this.#ring.key(id);
    if (!key) throw unopened(place, `it was sealed with the key ${id}, which is not at hand`);
    const tagBuffer = Buffer.from(tag ?? '', 'base64url');
    // A shortened tag would be accepted by the cipher and is far easier to forge.
    if (tagBuffer.length !== tagBytes) throw unopened(place, 'its tag has the wrong length');
    try {
      const decipher = createDecipheriv(algorithm, key, Buffer.from(nonce, 'base64url'), {
        authTagLength: tagBytes,
      });
      decipher.setAAD(boundTo(place));
      decipher.setAuthTag(tagBuffer);
      return decipher.update(Buffer.from(sealed, 'base64url'), undefined, 'utf8') + decipher.final('utf8');
    } catch {
      throw unopened(place, 'it was changed, or belongs to another row');
    }
  }

  /** Whether the value is sealed with the key that seals now: if not, a rotation has it still to do. */
  isCurrent(envelope: string): boolean {
    return envelope.startsWith(`v1.${this.#ring.sealing}.`);
  }
}

/** JSON, because no choice of names can make two places read the same. */
function boundTo(place: SealedPlace): Buffer {
  return Buffer.from(JSON.stringify([place.table, place.row, place.field]));
}

function unopened(place: SealedPlace, why: string): ServiceError {
  return new ServiceError({
    code: 'store.secret',
    what: `a stored secret cannot be opened: ${why}`,
    where: `${place.table} ${place.row}, ${place.field}`,
  });
}
