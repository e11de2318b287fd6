import type { EngineImage } from '../../../plugin-api/index.ts';
import type { StoredRecord } from '../../core/storage/stored-record.ts';
import type { Image } from '../../core/image/image.ts';
import { asCodedError } from '../../kernel/errors/service-error.ts';
import type { MaasContext } from './maas-context.ts';

/** An image that some deploy engine can install. */
export interface BootImage {
  readonly name: string;
  readonly aliases: readonly string[];
  /** What the library knows of it; null for an image of another engine's. */
  readonly stored: Image | null;
}

/** All of them, in order of name; an engine that does not answer has none. */
export async function bootImages(
  context: Pick<MaasContext, 'engines' | 'images' | 'log'>,
): Promise<readonly BootImage[]> {
  const stored = new Map((await context.images.list()).map((image) => [image.name, image]));
  const found = new Map<string, BootImage>();
  for (const engine of context.engines.values()) {
    const images = await engine.images().catch((thrown: unknown): readonly EngineImage[] => {
      context.log.warn({ engine: engine.type, error: asCodedError(thrown).message }, 'images not listed');
      return [];
    });
    for (const { name, aliases } of images)
      if (!found.has(name)) found.set(name, { name, aliases, stored: stored.get(name) ?? null });
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** As MAAS calls an image: `ubuntu/jammy` where it is called so, else `custom/` and its name. */
export function resourceName({ name, aliases }: Pick<BootImage, 'name' | 'aliases'>): string {
  return [name, ...aliases].find((one) => /^[a-z0-9-]+\/[\w.-]+$/.test(one)) ?? `custom/${name}`;
}

/** Every name by which clients may ask for it; they look for their template's among them. */
export function allNames(image: Pick<BootImage, 'name' | 'aliases'>): readonly string[] {
  return [...new Set([resourceName(image), `custom/${image.name}`, ...image.aliases])];
}

/** Images have names only: the numbers that clients want for them are kept apart, and made when they are first needed. */
export async function imageNumbers(
  { storage }: Pick<MaasContext, 'storage'>,
  images: readonly BootImage[],
): Promise<ReadonlyMap<string, number>> {
  return storage.run(async (tx) => {
    const known = await tx.records.list('boot-resource');
    const numbers = new Map(known.map(({ name, id }) => [name ?? '', id]));
    for (const { name } of images) {
      if (numbers.has(name)) continue;
      const wanted: Pick<StoredRecord, 'kind' | 'name' | 'owner' | 'body'> = {
        kind: 'boot-resource',
        name,
        owner: null,
        body: {},
      };
      numbers.set(name, (await tx.records.insert(wanted)).id);
    }
    return numbers;
  });
}
