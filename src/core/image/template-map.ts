import { ServiceError } from '../../kernel/errors/service-error.ts';

/** What the map needs to know of an image. */
export interface TemplateTarget {
  readonly name: string;
  readonly aliases: readonly string[];
}

/** `csbm://debian-12` as a template URL names the image `debian-12`. */
const scheme = 'csbm://';

/**
 * The one image that a CloudStack template (its URL or name) means: equal, letter by letter, to an image's name or to one of
 * its aliases, with or without `csbm://` before it. Blanks at the ends do not count.
 * @throws ServiceError `image.no-match` naming near misses, `image.ambiguous` naming all that match.
 */
export function mapTemplate<T extends TemplateTarget>(template: string, images: readonly T[]): T {
  const wanted = template.trim();
  const spellings = wanted.startsWith(scheme) ? [wanted, wanted.slice(scheme.length)] : [wanted];
  const matches =
    wanted === '' ? [] : images.filter((image) => namesOf(image).some((n) => spellings.includes(n)));
  if (matches.length > 1) {
    throw new ServiceError({
      code: 'image.ambiguous',
      what: `the template "${shown(wanted)}" matches ${matches.length} images: ${matches.map((i) => i.name).join(', ')}`,
    });
  }
  const match = matches[0];
  if (match) return match;
  const near = nearMisses(spellings.at(-1)!, images);
  throw new ServiceError({
    code: 'image.no-match',
    what:
      `no image matches the template "${shown(wanted)}" exactly` +
      (near.length > 0 ? `; similar: ${near.map(shown).join(', ')}` : ''),
  });
}

function namesOf(image: TemplateTarget): readonly string[] {
  return [image.name, ...image.aliases].map((name) => name.trim()).filter((name) => name !== '');
}

/** Names and aliases that a person may have meant, closest first, at most five. */
function nearMisses(wanted: string, images: readonly TemplateTarget[]): readonly string[] {
  const lower = wanted.toLowerCase();
  const limit = Math.max(1, Math.min(3, Math.floor(lower.length / 4)));
  return images
    .flatMap(namesOf)
    .map((name) => ({ name, distance: nearness(lower, name.toLowerCase(), limit) }))
    .filter((candidate) => candidate.distance !== null)
    .sort((a, b) => a.distance! - b.distance! || (a.name < b.name ? -1 : 1))
    .slice(0, 5)
    .map((candidate) => candidate.name);
}

/** Edit distance up to `limit`; `limit + 1` where one begins with the other; else null. */
function nearness(a: string, b: string, limit: number): number | null {
  const distance = Math.abs(a.length - b.length) <= limit ? editDistance(a, b) : Number.POSITIVE_INFINITY;
  if (distance <= limit) return distance;
  const shorter = Math.min(a.length, b.length);
  return shorter >= 3 && a.slice(0, shorter) === b.slice(0, shorter) ? limit + 1 : null;
}

/** Levenshtein's distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

/** A template URL as an error may show it: a user, password or signed query in it is nobody's business. */
function shown(template: string): string {
  return template
    .slice(0, 200)
    .replace(/\/\/[^/@]*@/, '//***@')
    .replace(/\?.*$/s, '?***');
}
