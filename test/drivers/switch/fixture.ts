import { readFileSync } from 'node:fs';

/** The lines of a file in `test/fixtures/os9`. */
export function os9Fixture(name: string): string[] {
  return readFileSync(new URL(`../../fixtures/os9/${name}`, import.meta.url), 'utf8').split('\n');
}
