/** Problems, and warnings, that are looked for: nobody reads more, and a file that is something else altogether could have millions. */
export const mostFound = 5_000;
