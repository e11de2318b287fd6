import { z } from 'zod';
import { configSchema } from './config.ts';
import { settingFacts, type SettingFacts } from './setting.ts';

/** One setting of csbm.yaml. */
export interface Setting extends SettingFacts {
  /** `['cloudstack', 'agent', 'trustAll']` */
  readonly path: readonly string[];
  /** `CSBM_CLOUDSTACK_AGENT_TRUST_ALL`; null where no single value can set it. */
  readonly env: string | null;
}

/** Every setting, in the order of the schema. */
export const settings: readonly Setting[] = collect(configSchema, []);

function collect(schema: z.core.$ZodType, path: readonly string[]): readonly Setting[] {
  const facts = settingFacts.get(schema);
  if (facts) {
    const single = facts.kind !== 'list' && facts.kind !== 'settings';
    return [{ ...facts, path, env: single ? environmentName(path) : null }];
  }
  if (schema instanceof z.ZodPrefault) return collect(schema.unwrap(), path);
  if (!(schema instanceof z.ZodObject)) {
    throw new Error(
      `${path.join('.')} is neither a setting nor a section: make it with src/config/setting.ts`,
    );
  }
  const shape = schema.shape as Readonly<Record<string, z.core.$ZodType>>;
  return Object.entries(shape).flatMap(([key, member]) => collect(member, [...path, key]));
}

function environmentName(path: readonly string[]): string {
  return ['csbm', ...path].map((key) => key.replaceAll(/[A-Z]/g, '_$&').toUpperCase()).join('_');
}
