import type { StoredImage } from '../../../plugin-api/index.ts';

/** An image of the native engine: what the engine knows of it, and which template URLs name it. */
export interface Image extends StoredImage {
  /** Template URLs or names that mean this image besides its own name; matched exactly. */
  readonly aliases: readonly string[];
  /** File name below `<stateDir>/images`. */
  readonly file: string;
  readonly createdAt: number;
  readonly version: number;
}
