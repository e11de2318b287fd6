import { accessSync, constants } from 'node:fs';
import type { Config } from '../config/config.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { makeFolder } from '../kernel/files/make-folder.ts';

/** The folder of everything that the service keeps. @throws ServiceError `config.invalid` where it cannot be made or written */
export function prepareStateFolder({ stateDir }: Config): void {
  try {
    makeFolder(stateDir);
    accessSync(stateDir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new ServiceError({
      code: 'config.invalid',
      what: 'stateDir cannot be used: it must be a folder that can be made and written',
      where: stateDir,
      said: (error as Error).message,
      remedy:
        'set stateDir in csbm.yaml to such a folder, or give the user of the service the right to write it',
    });
  }
}
