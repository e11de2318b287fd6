import { packageVersion } from '../kernel/version/package-version.ts';

/** Version of this service, as it shows itself. */
export const version = packageVersion();
