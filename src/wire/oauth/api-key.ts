import { Secret } from '../../../plugin-api/index.ts';

/** An API key as its holder has it: `consumer:token:secret`. The consumer's secret is empty in MAAS. */
export interface OAuthKey {
  readonly consumerKey: string;
  readonly tokenKey: string;
  readonly tokenSecret: Secret;
}

/** Reads `consumer:token:secret`; null where it is not that. */
export function parseApiKey(text: string): OAuthKey | null {
  const match = /^([^\s:]+):([^\s:]+):([^\s:]+)$/.exec(text.trim());
  if (!match) return null;
  return { consumerKey: match[1]!, tokenKey: match[2]!, tokenSecret: new Secret(match[3]!) };
}

/** As its holder writes it down: shown once. */
export function composeApiKey({ consumerKey, tokenKey, tokenSecret }: OAuthKey): string {
  return `${consumerKey}:${tokenKey}:${tokenSecret.reveal()}`;
}
