import { CodedError } from './coded-error.ts';
import { Secret } from './secret.ts';

/** A secret as a configuration names it: the text itself, an environment variable, or a file. */
export type SecretReference =
  | { readonly from: 'literal'; readonly secret: Secret }
  | { readonly from: 'env'; readonly name: string }
  | { readonly from: 'file'; readonly path: string };

/** Where references are looked up. */
export interface SecretSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reads a text file; may throw. */
  readFile(path: string): string;
}

/** Reads `env:NAME`, `file:/path`, or anything else as the secret itself. */
export function parseSecretReference(text: string): SecretReference {
  if (text.startsWith('env:')) return { from: 'env', name: text.slice('env:'.length) };
  if (text.startsWith('file:')) return { from: 'file', path: text.slice('file:'.length) };
  return { from: 'literal', secret: new Secret(text) };
}

/**
 * Looks a reference up. One line end at the end of a file does not belong to the secret.
 * @throws CodedError `secret.unresolved` when the variable is not set or the file cannot be read, or either is empty.
 */
export function resolveSecret(reference: SecretReference, sources: SecretSources): Secret {
  switch (reference.from) {
    case 'literal':
      return reference.secret;
    case 'env': {
      const text = Object.hasOwn(sources.env, reference.name) ? sources.env[reference.name] : undefined;
      if (!text)
        throw unresolved(`the environment variable ${reference.name} is not set`, 'set it for the service');
      return new Secret(text);
    }
    case 'file': {
      let text: string;
      try {
        text = sources.readFile(reference.path).replace(/\r?\n$/, '');
      } catch (cause) {
        const why = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
        throw unresolved(
          `the secret file ${reference.path} cannot be read${why}`,
          'make the file and let the service read it',
          cause,
        );
      }
      if (text === '')
        throw unresolved(`the secret file ${reference.path} is empty`, 'write the secret into it');
      return new Secret(text);
    }
  }
}

function unresolved(what: string, remedy: string, cause?: unknown): CodedError {
  return new CodedError({ code: 'secret.unresolved', retry: 'operator', what, remedy, cause });
}
