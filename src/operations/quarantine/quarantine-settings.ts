import { milliseconds, minutes, type Duration } from '../../../plugin-api/index.ts';

/** When devices are put into quarantine, and how often it is looked whether they may leave it. */
export interface QuarantineSettings {
  /** A BMC that failed so often in a row ... */
  readonly bmcFailures: number;
  /** ... for so long is in quarantine; one that refused the login is at once. */
  readonly bmcDead: Duration;
  /** A port that was so often not read back as desired ... */
  readonly portFailures: number;
  /** ... within so long is in quarantine. */
  readonly portWithin: Duration;
  /** A switch that failed so often in a row ... */
  readonly switchFailures: number;
  /** ... for so long is in quarantine. */
  readonly switchDead: Duration;
  /** Pause before the first check of a switch; doubles with each that fails, and with each time that it was in quarantine. */
  readonly checkInterval: Duration;
  readonly longestPause: Duration;
}

export const defaultQuarantineSettings: QuarantineSettings = {
  bmcFailures: 5,
  bmcDead: minutes(10),
  portFailures: 5,
  portWithin: minutes(60),
  switchFailures: 3,
  switchDead: minutes(2),
  checkInterval: minutes(1),
  longestPause: minutes(15),
};

/** The settings for a floor that runs `scale` times faster than life. */
export function scaledQuarantine(settings: QuarantineSettings, scale: number): QuarantineSettings {
  const faster = (time: Duration): Duration => milliseconds(Math.max(1, time / scale));
  return {
    ...settings,
    bmcDead: faster(settings.bmcDead),
    portWithin: faster(settings.portWithin),
    switchDead: faster(settings.switchDead),
    checkInterval: faster(settings.checkInterval),
    longestPause: faster(settings.longestPause),
  };
}
