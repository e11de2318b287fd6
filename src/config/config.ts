import { z } from 'zod';
import { adminSection } from './section/admin.ts';
import { bootSection } from './section/boot.ts';
import { cloudstackSection } from './section/cloudstack.ts';
import { deploySection } from './section/deploy.ts';
import { eraseSection } from './section/erase.ts';
import { httpSection } from './section/http.ts';
import { limitsSection } from './section/limits.ts';
import { logSection } from './section/log.ts';
import { maasSection } from './section/maas.ts';
import { powerSection } from './section/power.ts';
import { provisioningSection } from './section/provisioning.ts';
import { quarantineSection } from './section/quarantine.ts';
import { retentionSection } from './section/retention.ts';
import { secretsSection } from './section/secrets.ts';
import { storeSection } from './section/store.ts';
import { surveySection } from './section/survey.ts';
import { switchSection } from './section/switch.ts';
import { timingsSection } from './section/timings.ts';
import { settingFacts } from './setting.ts';

export const defaultStateDir = '.csbm';

/** The whole of csbm.yaml. The loader has put absolute paths and looked-up secrets into what this sees. */
export const configSchema = z.strictObject({
  stateDir: z
    .string('write a path as text')
    .min(1, 'write a path as text')
    .register(settingFacts, {
      kind: 'path',
      meaning: 'Folder of everything that the service keeps itself: database, keys, images',
      default: `./${defaultStateDir}`,
    }),
  http: httpSection.prefault({}),
  boot: bootSection.prefault({}),
  // These two have settings whose defaults lie in the state folder: the loader fills them in, so the sections exist.
  store: storeSection,
  secrets: secretsSection,
  cloudstack: cloudstackSection.prefault({}),
  maas: maasSection.prefault({}),
  power: powerSection.prefault({}),
  switch: switchSection.prefault({}),
  survey: surveySection.prefault({}),
  erase: eraseSection.prefault({}),
  quarantine: quarantineSection.prefault({}),
  provisioning: provisioningSection,
  deploy: deploySection.prefault({}),
  timings: timingsSection.prefault({}),
  limits: limitsSection.prefault({}),
  retention: retentionSection.prefault({}),
  log: logSection.prefault({}),
  admin: adminSection,
});

/** The configuration of the service: complete, with absolute paths. Times are as written: use `scaled(config.timings)`. */
export type Config = z.output<typeof configSchema>;
