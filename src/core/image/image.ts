import type { StoredImage } from '../../../plugin-api/index.ts';

/** An image of the native engine: what the engine knows of it, and where its file lies. */
export interface Image extends StoredImage {
  /** File name below `<stateDir>/images`. */
  readonly file: string;
  readonly createdAt: number;
  readonly version: number;
}
