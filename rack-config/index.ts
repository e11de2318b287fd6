export { rackConfigJsonSchema } from './json-schema.ts';
export { parseRackConfig } from './parse-rack-config.ts';
export * from './rack-config-error.ts';
export * from './rack-config.ts';
export * from './rack-difference.ts';
