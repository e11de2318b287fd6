import type { EngineImage } from '../../../../plugin-api/index.ts';

/** Operating systems whose images have no cloud-init: they take neither first-boot data nor a bond from us. */
const withoutCloudInit = ['windows', 'esxi'];

/** Whether an image reads the first-boot data that we hand MAAS. */
export function takesFirstBoot(image: string): boolean {
  return !withoutCloudInit.includes(image.split('/')[0]!);
}

/**
 * The images of `boot-resources/`, one for each name over all architectures. `ubuntu/jammy` may be called `jammy` too; a name
 * without a slash is one that somebody uploaded, which MAAS deploys as `custom/<name>`.
 */
export function imagesOf(resources: readonly { readonly name: string }[]): readonly EngineImage[] {
  const names = new Set(resources.map(({ name }) => (name.includes('/') ? name : `custom/${name}`)));
  return [...names].sort().map((name) => {
    const series = name.slice(name.indexOf('/') + 1);
    const cloudInit = takesFirstBoot(name);
    return {
      name,
      aliases: [series],
      canBond: cloudInit,
      firstBoot: cloudInit ? 'nocloud' : 'none',
      // MAAS does not tell.
      rawBytes: 0,
    };
  });
}
