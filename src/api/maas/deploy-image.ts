import { gunzipSync } from 'node:zlib';
import type { EngineImage } from '../../../plugin-api/index.ts';
import type { Fields } from './fields.ts';
import { invalidField } from './maas-refusal.ts';

/** Names by which MAAS's clients may ask for an image: `custom/` before its own, and aliases with their system left out. */
function namesOf({ name, aliases }: EngineImage): readonly string[] {
  const own = [name, `custom/${name}`, ...aliases];
  const short = [name, ...aliases].flatMap((one) => {
    const match = /^[a-z0-9-]+\/([^/]+)$/.exec(one);
    return match ? [match[1]!] : [];
  });
  return [...own, ...short];
}

/**
 * The one image that `distro_series` (with `osystem`) means; without one, the default, or the only image that there is.
 * @throws MaasRefusal 400 as MAAS tells it
 */
export function deployImage(
  fields: Fields,
  images: readonly EngineImage[],
  defaultSeries: string | null,
): EngineImage {
  const series = fields.get('distro_series')?.trim() || defaultSeries;
  const system = fields.get('osystem')?.trim() ?? '';
  if (series === null || series === '') {
    if (images.length === 1) return images[0]!;
    throw invalidField('distro_series', 'This field is required.');
  }
  const wanted = system === '' || series.includes('/') ? series : `${system}/${series}`;
  const exact = images.filter((image) => image.name === wanted);
  const found = exact.length > 0 ? exact : images.filter((image) => namesOf(image).includes(wanted));
  if (found.length === 1) return found[0]!;
  if (found.length > 1)
    throw invalidField(
      'distro_series',
      `'${wanted}' means more than one image: ${found.map(({ name }) => `'${name}'`).join(', ')}.`,
    );
  const choices = images.map((image) => `'${image.aliases.find(isPair) ?? `custom/${image.name}`}'`);
  throw invalidField(
    'distro_series',
    `'${wanted}' is not a valid distro_series.  It should be one of: ${choices.sort().join(', ')}.`,
  );
}

const isPair = (name: string): boolean => /^[a-z0-9-]+\/[^/]+$/.test(name);

/** Longest first-boot data after unpacking, in bytes: a few kilobytes of gzip must not become gigabytes. */
const longestUserData = 8 * 1024 * 1024;

/**
 * What cloud-init gets: clients send it in base64, Juju packed by gzip besides, and some as it is. What boots the machine keeps
 * text, and packed or not is the same to cloud-init: it gets it unpacked.
 * @throws MaasRefusal 400 for what is no text
 */
export function userDataOf(fields: Fields): string | null {
  const text = fields.get('user_data');
  if (text === undefined || text.trim() === '') return null;
  const packed = text.replaceAll(/\s+/g, '');
  const encoded = packed.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(packed);
  if (!encoded) return text;
  const bytes = Buffer.from(packed, 'base64');
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
  try {
    const plain = isGzip ? gunzipSync(bytes, { maxOutputLength: longestUserData }) : bytes;
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plain);
  } catch {
    throw invalidField(
      'user_data',
      isGzip
        ? `The gzip cannot be unpacked to text of at most ${longestUserData} bytes.`
        : 'The base64 holds neither text nor gzip.',
    );
  }
}
