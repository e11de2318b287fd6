import { milliseconds, minutes, seconds, type Duration } from '../../plugin-api/index.ts';

/** How long a simulated machine takes, and how patient it is. */
export interface MachineTiming {
  /** From the BMC's command to power on, and to power off. */
  readonly power: Duration;
  /** Off between the halves of a power cycle. */
  readonly cyclePause: Duration;
  /** Self-test, from power on to the first boot device. */
  readonly firmware: Duration;
  /** Pause between two DHCP tries of firmware and ramdisk. */
  readonly dhcpRetry: Duration;
  /** How often firmware asks on one NIC before it tries the next. */
  readonly dhcpTries: number;
  /** From the end of the iPXE script to the first call of the ramdisk agent. */
  readonly kernel: Duration;
  /** One HTTP call of iPXE or agent without a sign of life. */
  readonly httpSilence: Duration;
  /** Pause before the agent repeats a call that got no answer (boot protocol, section 2). */
  readonly retryPause: Duration;
  /** How long the agent repeats: at least ten minutes by the boot protocol, in the machine's own time. */
  readonly retryFor: Duration;
  /** Between two progress reports. */
  readonly progress: Duration;
  /** Wire and disk speed of an install, in bytes per second; null = as fast as it goes. */
  readonly bytesPerSecond: number | null;
  /** From the boot loader on the disk to a running operating system. */
  readonly osStart: Duration;
  /** From the ACPI request to power off. */
  readonly osShutdown: Duration;
  /** Between two tries of a running operating system to get a lease. */
  readonly lease: Duration;
  /** Between two renewals of a lease. */
  readonly renew: Duration;
}

/** About as long as a small server in a lab takes; divide it with {@link faster}. */
export const lifelike: MachineTiming = {
  power: milliseconds(500),
  cyclePause: seconds(2),
  firmware: seconds(4),
  dhcpRetry: seconds(2),
  dhcpTries: 5,
  kernel: seconds(6),
  httpSilence: seconds(60),
  retryPause: seconds(1),
  retryFor: minutes(10),
  progress: seconds(1),
  bytesPerSecond: 4 * 1024 * 1024,
  osStart: seconds(8),
  osShutdown: seconds(3),
  lease: seconds(5),
  renew: seconds(60),
};

/** The same machine in a life that runs `factor` times faster (or slower, below 1). Counts stay as they are. */
export function faster(timing: MachineTiming, factor: number): MachineTiming {
  const by = (time: Duration): Duration => milliseconds(time / factor);
  return {
    power: by(timing.power),
    cyclePause: by(timing.cyclePause),
    firmware: by(timing.firmware),
    dhcpRetry: by(timing.dhcpRetry),
    dhcpTries: timing.dhcpTries,
    kernel: by(timing.kernel),
    // Real sockets do not run faster than life: patience with them keeps a floor.
    httpSilence: milliseconds(Math.max(timing.httpSilence / factor, 2_000)),
    retryPause: by(timing.retryPause),
    retryFor: milliseconds(Math.max(timing.retryFor / factor, 20_000)),
    progress: by(timing.progress),
    bytesPerSecond: timing.bytesPerSecond === null ? null : timing.bytesPerSecond * factor,
    osStart: by(timing.osStart),
    osShutdown: by(timing.osShutdown),
    lease: by(timing.lease),
    renew: by(timing.renew),
  };
}
