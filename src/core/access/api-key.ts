import type { Secret } from '../../../plugin-api/index.ts';

/** An OAuth 1.0a key of a principal, `consumer:token:secret` for its holder; the consumer's secret is empty. */
export interface ApiKey {
  readonly tokenKey: string;
  readonly consumerKey: string;
  /** Signatures are checked with it, so it is kept, sealed, and not as a hash. */
  readonly secret: Secret;
  /** Name of the principal. */
  readonly principal: string;
  /** What it is for, in its owner's words. */
  readonly name: string;
  /** Epoch milliseconds. */
  readonly createdAt: number;
}
