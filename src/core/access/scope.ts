import { ServiceError } from '../../kernel/errors/service-error.ts';
import type { CloudPlace } from '../machine/machine.ts';

/** Where a machine stands, as far as scopes and lists ask. */
export interface MachinePlace {
  readonly id: string;
  readonly hostname: string;
  readonly site: string;
  readonly pool: string;
  readonly cloudPlace: Pick<CloudPlace, 'cloud'> | null;
}

/** Everything: what concerns the whole service (rack config, images, principals) needs it. */
export const wholeScope = '*';

const kinds = ['site', 'pool', 'cloud', 'machine'] as const;
type Kind = (typeof kinds)[number];

/** Which machines a principal may touch: every one that fits at least one of the terms. */
class Scope {
  readonly #terms: readonly { readonly kind: Kind; readonly name: string }[] | null;

  constructor(terms: readonly { readonly kind: Kind; readonly name: string }[] | null) {
    this.#terms = terms;
  }

  get whole(): boolean {
    return this.#terms === null;
  }

  includes(machine: MachinePlace): boolean {
    if (this.#terms === null) return true;
    return this.#terms.some((term) => {
      switch (term.kind) {
        case 'site':
          return machine.site === term.name;
        case 'pool':
          return machine.pool === term.name;
        case 'cloud':
          return machine.cloudPlace?.cloud === term.name;
        case 'machine':
          return machine.id === term.name || machine.hostname === term.name;
      }
    });
  }
}

export type { Scope };

/**
 * Reads a scope: `*` = everything, else terms with commas between them: `site:NAME`, `pool:NAME`, `cloud:NAME`,
 * `machine:ID` or `machine:HOSTNAME`. A bare name means the pool and the cloud of that name. What has another meaning here, or
 * is a space, is percent-encoded in a name.
 * @throws ServiceError `request.invalid`
 */
export function parseScope(text: string): Scope {
  if (text === wholeScope) return new Scope(null);
  const terms = text.split(',').flatMap((part): { readonly kind: Kind; readonly name: string }[] => {
    const term = part.trim();
    const colon = term.indexOf(':');
    const value = decoded(term.slice(colon + 1));
    if (value === null) throw misspelt(`"${term}" is not a term of a scope`);
    if (colon < 0)
      return [
        { kind: 'pool', name: value },
        { kind: 'cloud', name: value },
      ];
    const kind = kinds.find((one) => one === term.slice(0, colon));
    if (!kind) throw misspelt(`"${term}" is not a term of a scope`);
    return [{ kind, name: value }];
  });
  return new Scope(terms);
}

/** The term for just this name. */
export function scopeTerm(kind: 'site' | 'pool' | 'cloud' | 'machine', name: string): string {
  return `${kind}:${encodeURIComponent(name).replaceAll('*', '%2A')}`;
}

function decoded(name: string): string | null {
  if (!/^[^\s,:*]+$/.test(name)) return null;
  try {
    return decodeURIComponent(name);
  } catch {
    return null;
  }
}

function misspelt(what: string): ServiceError {
  return new ServiceError({
    code: 'request.invalid',
    what,
    remedy: 'write *, or terms with commas between them: site:NAME, pool:NAME, cloud:NAME, machine:NAME',
  });
}
