import { apiRoot } from './resource-uri.ts';

/** Whose something is, as it is told within other things; what only administrators may know of a user is left out. */
export function userReference(name: string | null): object | null {
  if (name === null) return null;
  return {
    username: name,
    email: '',
    is_local: true,
    is_superuser: false,
    resource_uri: `${apiRoot}/users/${encodeURIComponent(name)}/`,
  };
}
