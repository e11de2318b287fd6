/**
 * A module of the compiled program, by its path in `src` without ending: what is measured is what runs, and not what tsx makes of it, whose names for
 * functions cost as much as the functions. `make bench` compiles first.
 */
export function compiled<T>(module: string): Promise<T> {
  return import(new URL(`../../dist/src/${module}.js`, import.meta.url).href) as Promise<T>;
}
